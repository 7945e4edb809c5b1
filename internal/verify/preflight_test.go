package verify

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

func TestPreflightFindsWhatNobodyHandles(t *testing.T) {
	b := build(t, 300)
	source := b.connect(b.source)
	kinds, err := Preflight(t.Context(), source, b.log, b.edition.Model(), nil)
	if err != nil || len(kinds) < 6 {
		t.Fatalf("%v: %+v", err, kinds)
	}
	var events int64
	for _, k := range kinds {
		events += k.Events
		if k.Unknown() || k.First == 0 {
			t.Errorf("%+v", k)
		}
	}
	if events != 300 {
		t.Errorf("counted %d events", events)
	}

	first, later := uuid.New(), uuid.New()
	postgres.Exec(t, nameOf(b.source), "INSERT INTO events (id, name, version, payload) VALUES ('"+first.String()+"', 'ReciterCreated', 2, '{\"a\": \"Verysecret\"}')",
		"INSERT INTO events (id, name, payload) VALUES ('"+later.String()+"', 'ReciterKnighted', '{}')")
	_, err = Preflight(t.Context(), source, b.log, b.edition.Model(), nil)
	var poison *projection.Poison
	if !errors.As(err, &poison) || poison.Position != 301 || poison.EventID != first || poison.Version != 2 ||
		!strings.Contains(err.Error(), "ReciterKnighted v1") || strings.Contains(err.Error(), "Verysecret") {
		t.Errorf("got %v", err)
	}
	_, err = Preflight(t.Context(), source, b.log, b.edition.Model(), []uuid.UUID{first})
	if !errors.As(err, &poison) || poison.EventID != later {
		t.Errorf("with the first one skipped: %v", err)
	}
	if _, err := Preflight(t.Context(), source, b.log, b.edition.Model(), []uuid.UUID{first, later}); err != nil {
		t.Errorf("with both skipped: %v", err)
	}
	model := b.edition.Model()
	model.Ignored = []projection.Kind{{Name: "ReciterKnighted", Version: 1}, {Name: "ReciterCreated", Version: 2}}
	if _, err := Preflight(t.Context(), source, b.log, model, nil); err != nil {
		t.Errorf("with both ignored: %v", err)
	}
}

func TestPreflightOfAnEmptyLog(t *testing.T) {
	b := build(t, 0)
	if kinds, err := Preflight(t.Context(), b.connect(b.source), b.log, b.edition.Model(), nil); err != nil || len(kinds) != 0 {
		t.Errorf("%v: %+v", err, kinds)
	}
}

func TestASecondReplayThatDiffersIsTold(t *testing.T) {
	hash := func(position int64, albums string) projection.Hash {
		return projection.Hash{Position: position, Tables: map[string]string{"reciters": "1:2:3", "albums": albums}}
	}
	if check := (Rebuild{hash(5, "1"), hash(5, "1")}).check(); !check.Passed || check.Figure != 2 {
		t.Errorf("the same content: %+v", check)
	}
	if check := (Rebuild{hash(5, "1"), hash(5, "2")}).check(); check.Passed || check.Faults != 1 || check.Samples[0] != "albums" {
		t.Errorf("another content: %+v", check)
	}
	if check := (Rebuild{hash(5, "1"), hash(6, "1")}).check(); check.Passed {
		t.Errorf("another position: %+v", check)
	}
}
