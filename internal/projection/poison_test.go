package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// reports remembers what a run said of itself.
type reports struct {
	mu  sync.Mutex
	all []projection.Report
}

func (r *reports) Report(_ context.Context, report projection.Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, report)
	return nil
}

func (r *reports) last() projection.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[len(r.all)-1]
}

// any tells whether one of the reports so far is like that.
func (r *reports) any(like func(projection.Report) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.all, like)
}

const secret = "not-for-the-log"

// poisonous are events that no edition can apply.
func poisonous() map[string]eventlog.NewEvent {
	e := func(name string, version int16, payload string) eventlog.NewEvent {
		return eventlog.NewEvent{ID: uuid.New(), Name: name, Version: version, Payload: []byte(payload)}
	}
	return map[string]eventlog.NewEvent{
		"an unknown name":    e("ReciterKnighted", 1, `{"id": "`+secret+`"}`),
		"an unknown version": e(library.ReciterCreated, 2, `{"id": "`+secret+`"}`),
		"a malformed id":     e(library.ReciterDeleted, 1, `{"id": "`+secret+`"}`),
		"no attributes":      e(library.ReciterCreated, 1, fmt.Sprintf(`{"id": %q, "name": %q}`, uuid.New(), secret)),
		"a wrong type":       e(library.AlbumModified, 1, fmt.Sprintf(`{"id": %q, "attributes": {"title": 12345}}`, uuid.New())),
		"not an object":      e(library.AlbumDeleted, 1, `["`+secret+`"]`),
	}
}

func TestPoisonStopsAReplayAfterTheEventBefore(t *testing.T) {
	for name, event := range poisonous() {
		t.Run(name, func(t *testing.T) {
			from, writer := generated(t, 50, 1)
			at := add(t, writer, event)[0]
			if err := library.Generate(t.Context(), writer, log, 50, 2, nil); err != nil {
				t.Fatal(err)
			}
			o, conn := migrated(t, from)
			heard := &reports{}
			o.ChunkEvents, o.Reporter = 30, heard

			_, err := projection.Replay(t.Context(), o)
			assertPoison(t, err, event, at)
			if report := heard.last(); report.Problem == nil || report.Problem.Position != at || report.Position != at-1 {
				t.Errorf("the last report is %+v", report)
			}
			if at := count(t, conn, "SELECT position FROM checkpoint"); at != 50 {
				t.Errorf("the checkpoint is at %d, want 50", at)
			}

			o.Skip = []uuid.UUID{event.ID}
			result := replay(t, o)
			if result.Skipped != 1 || result.Position != 101 || result.Events != 50 {
				t.Errorf("after skipping: %+v", result)
			}
			if n := count(t, conn, "SELECT count(*) FROM skipped_events WHERE event_id = $1 AND position = $2", event.ID, at); n != 1 {
				t.Errorf("%d records of the skipped event, want 1", n)
			}
		})
	}
}

func TestPoisonStopsAFollower(t *testing.T) {
	from, writer := generated(t, 50, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	event := poisonous()["an unknown name"]
	good, err := library.NewReciterCreated(uuid.New(), library.ReciterAttributes{Name: "Before"})
	if err != nil {
		t.Fatal(err)
	}
	at := add(t, writer, good, event, poisonous()["no attributes"])[1]

	_, err = projection.Follow(t.Context(), o)
	assertPoison(t, err, event, at)
	if n := count(t, conn, "SELECT count(*) FROM reciters WHERE name = 'Before'"); n != 1 {
		t.Error("the event before the poison was not applied")
	}
}

func assertPoison(t *testing.T, err error, event eventlog.NewEvent, at int64) {
	t.Helper()
	poison, ok := errors.AsType[*projection.Poison](err)
	if !ok {
		t.Fatalf("got %v, want poison", err)
	}
	if poison.Position != at || poison.EventID != event.ID || poison.Name != event.Name || poison.Version != event.Version {
		t.Errorf("got %+v, want event %s at %d", poison, event.ID, at)
	}
	if unknown := strings.Contains(poison.Reason, "does not know"); unknown != (poison.Projector == "") {
		t.Errorf("projector %q, but: %s", poison.Projector, poison.Reason)
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "12345") {
		t.Errorf("the error repeats the payload: %v", err)
	}
}

// refusing is a projector with a mistake in it.
type refusing struct {
	projection.Projector
	event uuid.UUID
}

func (r refusing) Apply(e *projection.Event) (projection.Outcome, error) {
	if e.ID == r.event {
		return "", errors.New("cannot go on")
	}
	return r.Projector.Apply(e)
}

func TestAProjectorThatFailsLeavesWhatCameBefore(t *testing.T) {
	from, writer := generated(t, 40, 1)
	var id uuid.UUID
	if err := writer.QueryRow(t.Context(), "SELECT id FROM events WHERE position = 23").Scan(&id); err != nil {
		t.Fatal(err)
	}
	o, conn := migrated(t, from)
	o.NewModel = func() *projection.Model {
		m := edition(t).Model()
		last := len(m.Projectors) - 1
		m.Projectors[last] = refusing{m.Projectors[last], id}
		return m
	}
	_, err := projection.Replay(t.Context(), o)
	if poison, ok := errors.AsType[*projection.Poison](err); !ok || poison.Position != 23 || poison.Projector != "revisions" {
		t.Fatalf("got %v, want poison at 23 in revisions", err)
	}
	if at := count(t, conn, "SELECT position FROM checkpoint"); at != 22 {
		t.Errorf("the checkpoint is at %d, want 22", at)
	}
	o.NewModel = edition(t).Model
	replay(t, o)
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
}

// forgetful looks at rows it did not ask for.
type forgetful struct{ projection.Projector }

func (forgetful) Needs(*projection.Event) bool { return false }

func TestAProjectorThatDoesNotSayWhatItNeedsIsFoundOut(t *testing.T) {
	from, _ := generated(t, 40, 1)
	o, conn := migrated(t, from)
	o.NewModel = func() *projection.Model {
		m := edition(t).Model()
		m.Projectors[0] = forgetful{m.Projectors[0]}
		return m
	}
	if _, err := projection.Replay(t.Context(), o); !errors.As(err, new(*projection.UndeclaredError)) {
		t.Errorf("got %v", err)
	}
	if at := count(t, conn, "SELECT position FROM checkpoint"); at != 0 {
		t.Errorf("the checkpoint is at %d, want 0", at)
	}
}

func TestIgnoredKindsArePassedSilently(t *testing.T) {
	from, writer := generated(t, 10, 1)
	event := poisonous()["an unknown name"]
	add(t, writer, event)
	o, conn := migrated(t, from)
	o.NewModel = func() *projection.Model {
		m := edition(t).Model()
		m.Ignored = []projection.Kind{{Name: event.Name, Version: 1}}
		return m
	}
	if result := replay(t, o); result.Position != 11 {
		t.Errorf("got %+v", result)
	}
	if n := count(t, conn, "SELECT count(*) FROM projected_events WHERE event_id = $1", event.ID); n != 0 {
		t.Error("an ignored event counts as projected")
	}
}
