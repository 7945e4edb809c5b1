package eventlog_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

func TestCompareFindsAnotherLogBothWays(t *testing.T) {
	_, conn := source(t)
	for n := range 5 {
		add(t, conn, newEvent(n))
	}
	execute(t, conn, "DELETE FROM events WHERE position = 3")
	var tail []eventlog.Mark
	for reader := events.Reader(conn, 0); len(tail) < 4; {
		read, err := reader.Next(t.Context(), eventlog.Limit{Events: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range read {
			tail = append(tail, eventlog.Mark{Position: e.Position, ID: e.ID})
		}
	}
	if err := events.Compare(t.Context(), conn, tail); err != nil {
		t.Fatalf("the log itself: %v", err)
	}

	replaced := append([]eventlog.Mark{}, tail...)
	replaced[1].ID = uuid.New()
	lost := append(append([]eventlog.Mark{}, tail...), eventlog.Mark{Position: 9, ID: uuid.New()})
	unapplied := append(append([]eventlog.Mark{}, tail[:1]...), tail[2:]...)
	for name, c := range map[string]struct {
		tail []eventlog.Mark
		at   int64
	}{"replaced": {replaced, 2}, "lost": {lost, 9}, "never applied": {unapplied, 2}} {
		err := events.Compare(t.Context(), conn, c.tail)
		if diverged, ok := errors.AsType[*eventlog.DivergedError](err); !ok || diverged.Position != c.at {
			t.Errorf("%s: got %v, want a difference at %d", name, err, c.at)
		}
	}
}

func TestIdentityIsStable(t *testing.T) {
	_, conn := source(t)
	one, err := events.Identity(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	two, err := events.Identity(t.Context(), conn)
	if err != nil || one != two || one.System == "" || one.Timeline == 0 {
		t.Errorf("%+v, then %+v, %v", one, two, err)
	}
}
