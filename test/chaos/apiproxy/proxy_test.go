package apiproxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

type program struct{ ended int }

func (*program) Program() string { return "operator" }
func (p *program) End()          { p.ended++ }
func (*program) Stall()          {}

// A write that the API server refused is none after which a program ended.
func TestOnlyWhatWasObeyedCounts(t *testing.T) {
	for status, want := range map[int]int{http.StatusOK: 1, http.StatusCreated: 1, http.StatusConflict: 0, http.StatusNotFound: 0, http.StatusInternalServerError: 0} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer server.Close()
		book, owner := killpoint.NewBook(), &program{}
		book.Arm(killpoint.Target{Point: "operator: create services", Moment: killpoint.After})
		proxy, err := Start(&rest.Config{Host: server.URL}, book, owner)
		if err != nil {
			t.Fatal(err)
		}
		defer proxy.Close()
		answer, err := http.Post(proxy.URL+"/api/v1/namespaces/x/services", "application/json", nil)
		if err == nil {
			_ = answer.Body.Close()
			t.Error("it was answered")
		}
		if got := len(book.Hit()); got != want || owner.ended != 1 {
			t.Errorf("answered with %d: %d hits, want %d; the program ended %d times", status, got, want, owner.ended)
		}
	}
}

func TestWritesAreNamedWithoutWhatDiffers(t *testing.T) {
	const release = "/apis/releases.nawhas.com/v1alpha1/namespaces/chaos-7/nawhasreleases/nawhas"
	for _, test := range []struct{ method, path, content, want string }{
		{"GET", release, "", ""},
		{"PATCH", release, "application/merge-patch+json", "patch nawhasreleases nawhas"},
		{"PATCH", release + "/status", "application/merge-patch+json", "patch nawhasreleases nawhas/status"},
		{"PATCH", "/apis/batch/v1/namespaces/chaos-7/jobs/nawhas-replay-3-1-2-0a1b2c3d-2", "application/apply-patch+yaml", "apply jobs nawhas-replay-…-…"},
		{"PATCH", "/apis/apps/v1/namespaces/chaos-7/deployments/nawhas-api-3-2-0", "application/apply-patch+yaml", "apply deployments nawhas-api-…"},
		{"DELETE", "/api/v1/namespaces/chaos-7/services/nawhas-api-preview", "", "delete services nawhas-api-preview"},
		{"POST", "/apis/events.k8s.io/v1/namespaces/chaos-7/events", "application/json", "create events"},
		{"PATCH", "/apis/events.k8s.io/v1/namespaces/chaos-7/events/nawhas.18c2f00d", "application/json", "patch events nawhas.…"},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/x/leases/nawhas-operator", "application/json", ""},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", ""},
	} {
		if got := Effect(test.method, test.path, test.content); got != test.want {
			t.Errorf("%s %s is named %q, want %q", test.method, test.path, got, test.want)
		}
	}
}
