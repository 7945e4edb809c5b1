package eventlog_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

func TestAppendKeepsTheOrderOfItsEvents(t *testing.T) {
	_, conn := source(t)
	many := make([]eventlog.NewEvent, 500)
	for i := range many {
		many[i] = newEvent(i)
	}

	first := add(t, conn, newEvent(-1))
	positions := add(t, conn, many...)

	if !slices.IsSorted(positions) || positions[0] <= first[0] {
		t.Fatalf("positions %v after %v", positions[:5], first)
	}
	var read []eventlog.Event
	for reader := events.Reader(conn, first[0]); len(read) < len(many); {
		found, err := reader.Next(t.Context(), eventlog.Limit{Events: 1000})
		if err != nil || len(found) == 0 {
			t.Fatalf("read %d of %d events, then %v", len(read), len(many), err)
		}
		read = append(read, found...)
	}
	for i, e := range read {
		if e.ID != many[i].ID || e.Position != positions[i] || !bytes.Equal(e.Payload, many[i].Payload) || e.Version != 1 || e.Name != "Counted" {
			t.Fatalf("event %d came back as %+v", i, e)
		}
		if time.Since(e.RecordedAt) > time.Minute {
			t.Fatalf("event %d was recorded at %s", i, e.RecordedAt)
		}
	}
}

func TestAppendIsPartOfTheCallersTransaction(t *testing.T) {
	_, conn := source(t)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(t, tx, newEvent(1))
	add(t, tx, newEvent(2), newEvent(3))
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := logged(t, conn); len(left) != 0 {
		t.Errorf("positions %v survived a rollback", left)
	}
}

func TestAppendNamesADuplicateID(t *testing.T) {
	_, conn := source(t)
	known := newEvent(1)
	add(t, conn, known)

	for name, batch := range map[string][]eventlog.NewEvent{"one": {known}, "many": {newEvent(2), known, newEvent(3)}} {
		_, err := events.Append(t.Context(), conn, batch...)
		if duplicate, ok := errors.AsType[*eventlog.DuplicateIDError](err); !ok || duplicate.ID != known.ID {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := events.AppendBulk(t.Context(), conn, []eventlog.NewEvent{newEvent(2), known}); !errors.As(err, new(*eventlog.DuplicateIDError)) {
		t.Errorf("bulk: %v", err)
	}
	if kept := logged(t, conn); len(kept) != 1 {
		t.Errorf("%d events after refused appends, want 1", len(kept))
	}
}

func TestAppendRefusesPayloadsThatCannotBeStored(t *testing.T) {
	_, conn := source(t)
	const secret = "do-not-repeat"
	payloads := map[string]string{
		"not JSON":         `{"name": "` + secret,
		"invalid UTF-8":    `{"name": "` + secret + "\xff\"}",
		"NUL":              `{"name": "` + secret + `\u0000"}`,
		"half a pair":      `{"name": "` + secret + `\ud800"}`,
		"too large":        `{"name": "` + secret + strings.Repeat("x", 10<<20) + `"}`,
		"a number too big": `{"name": "` + secret + `", "n": 1e400000}`,
	}
	for name, payload := range payloads {
		e := eventlog.NewEvent{ID: uuid.New(), Name: "ReciterCreated", Version: 1, Payload: []byte(payload)}
		for _, batch := range [][]eventlog.NewEvent{{e}, {newEvent(1), e}} {
			_, err := events.Append(t.Context(), conn, batch...)
			if _, ok := errors.AsType[*eventlog.PayloadError](err); !ok {
				t.Errorf("%s: %v", name, err)
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error repeats the payload", name)
			}
		}
	}
	if kept := logged(t, conn); len(kept) != 0 {
		t.Errorf("%d events after refused appends", len(kept))
	}
}

func TestALogWithOtherNames(t *testing.T) {
	conn := connect(t, server.Database(t))
	execute(t, conn, `CREATE SCHEMA "the app"`)
	other := eventlog.New(eventlog.Table{Schema: "the app", Name: "Stored'Events", Position: "global position", ID: "uuid",
		EventName: "type", Payload: "data", RecordedAt: "at"})
	if err := other.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	one, two := newEvent(1), newEvent(2)
	if _, err := other.Append(t.Context(), conn, one); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Append(t.Context(), conn, two, newEvent(3)); err != nil {
		t.Fatal(err)
	}
	old := one
	old.ID, old.Version = uuid.New(), 2
	if _, err := other.Append(t.Context(), conn, old); !errors.As(err, new(*eventlog.PayloadError)) {
		t.Errorf("a version that cannot be stored: %v", err)
	}
	read, err := other.Reader(conn, 0).Next(t.Context(), eventlog.Limit{Events: 10})
	if err != nil || len(read) != 3 || read[1].ID != two.ID || read[1].Version != 1 {
		t.Errorf("read %+v, %v", read, err)
	}
	if w, err := other.Watermark(t.Context(), conn); err != nil || w != 3 {
		t.Errorf("watermark %d, %v", w, err)
	}
}

func TestTheDatabaseChoosesPositionAndTime(t *testing.T) {
	url, conn := source(t)
	execute(t, conn, "CREATE ROLE writer_"+conn.Config().Database+" LOGIN PASSWORD 'x'")
	role := "writer_" + conn.Config().Database
	execute(t, conn, "GRANT SELECT, INSERT (id, name, version, payload) ON events TO "+role)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	writer := connect(t, server.URLAs(role, "x", config.Database))

	add(t, writer, newEvent(1), newEvent(2))
	if err := events.AppendBulk(t.Context(), writer, []eventlog.NewEvent{newEvent(3)}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO events (position, id, name, payload) OVERRIDING SYSTEM VALUE VALUES (1000, gen_random_uuid(), 'x', '{}')",
		"INSERT INTO events (id, name, payload, recorded_at) VALUES (gen_random_uuid(), 'x', '{}', now())",
		"SELECT nextval('events_position_seq')", "UPDATE events SET name = 'x'", "DELETE FROM events",
	} {
		if _, err := writer.Exec(t.Context(), sql); err == nil {
			t.Errorf("a writer may %s", sql)
		}
	}
}
