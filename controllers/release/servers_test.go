package release

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestAPassDoesNotBeginOnABusyServer(t *testing.T) {
	parsed := func(url string) *connection {
		c, err := parseConnection(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	source, databases := parsed("postgres://a:b@127.0.0.1:1/source"), parsed("postgres://a:b@127.0.0.1:1/postgres")
	elsewhere := parsed("postgres://a:b@127.0.0.1:2/source")
	s := newServers(1)
	t.Cleanup(s.close)
	at, next, other := types.NamespacedName{Name: "at-work"}, types.NamespacedName{Name: "next"}, types.NamespacedName{Name: "other"}

	if s.busy(at) {
		t.Error("a release that no pass has seen cannot wait for a server")
	}
	visit, err := s.enter(at, source, databases, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.enter(next, source, databases, nil); !errors.Is(err, errBusy) {
		t.Fatalf("two passes are at work: %v", err)
	}
	if !s.busy(next) {
		t.Error("the server that it names has no place")
	}
	elsewhereVisit, err := s.enter(other, elsewhere, elsewhere, nil)
	if err != nil {
		t.Fatal(err)
	}
	elsewhereVisit.leave()
	if s.busy(other) {
		t.Error("what is at work on another server keeps it waiting")
	}
	visit.leave()
	if s.busy(next) {
		t.Error("the place was given back")
	}
	visit, err = s.enter(at, source, databases, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer visit.leave()
	visit.source.fellSilent(errors.New("no answer"))
	if s.busy(next) {
		t.Error("that a server does not answer is to be told, not to be waited for")
	}
}
