package eventlog_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// layout is a kind of log, and how its application appends to it.
type layout struct {
	log    *eventlog.Log
	create func(t testing.TB, conn *pgx.Conn)
	append func(ctx context.Context, db eventlog.DB, n int) error
}

func layouts() map[string]layout {
	return map[string]layout{
		"the default": {events, func(t testing.TB, conn *pgx.Conn) {
			t.Helper()
			if err := events.Init(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, db eventlog.DB, n int) error {
			_, err := events.Append(ctx, db, newEvent(n))
			return err
		}},
		"stored events": {stored, createStored, appendStored},
	}
}

// source makes a database with an empty log.
func (l layout) source(t testing.TB) (string, *pgx.Conn) {
	t.Helper()
	url := server.Database(t)
	conn := connect(t, url)
	l.create(t, conn)
	return url, conn
}

func (l layout) add(t testing.TB, db eventlog.DB, n int) {
	t.Helper()
	if err := l.append(t.Context(), db, n); err != nil {
		t.Fatal(err)
	}
}

var stored = eventlog.New(eventlog.SpatieStoredEvents())

func createStored(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	definition, err := os.ReadFile("testdata/stored_events.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, conn, string(definition))
}

// appendStored does what the library does: a row, and then its own id in its
// meta data, each a statement of its own.
func appendStored(ctx context.Context, db eventlog.DB, n int) error {
	var id int64
	err := db.QueryRow(ctx, `INSERT INTO stored_events (event_properties, aggregate_uuid, aggregate_version, event_version, event_class, meta_data, created_at)
		VALUES (json_build_object('n', $1::int), NULL, NULL, 1, 'counted', '{"created-at":"2024-04-06 12:00:00"}', '2024-04-06 12:00:00') RETURNING id`, n).Scan(&id)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `UPDATE stored_events SET meta_data = json_build_object('created-at', '2024-04-06 12:00:00', 'stored-event-id', id) WHERE id = $1`, id)
	return err
}

func TestStoredEventsAreReadAsTheyAre(t *testing.T) {
	_, conn := layouts()["stored events"].source(t)
	if err := stored.Check(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	const payload = `{"userId":null,"id":"a8afb8ca-b9c9-11ea-aa22-3a3d4d50f449","artwork":"reciters\/x\/y.jpg"}`
	for range 2 {
		execute(t, conn, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at, event_version) VALUES ('album.changed.artwork', $1, '[]', '2024-04-06 12:00:00', 3)`, payload)
	}
	execute(t, conn, "SET TimeZone = 'Asia/Tokyo'")
	read, err := stored.Reader(conn, 0).Next(t.Context(), eventlog.Limit{Events: 10})
	if err != nil || len(read) != 2 {
		t.Fatalf("read %+v, %v", read, err)
	}
	one := read[0]
	if one.Position != 1 || one.Name != "album.changed.artwork" || one.Version != 3 || string(one.Payload) != payload ||
		!one.RecordedAt.Equal(time.Date(2024, 4, 6, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("read %+v", one)
	}
	if one.ID == uuid.Nil || one.ID == read[1].ID {
		t.Errorf("ids %s and %s of two events", one.ID, read[1].ID)
	}
	var documented uuid.UUID
	err = conn.QueryRow(t.Context(), `SELECT md5(concat_ws(E'\n', id, event_class, event_version::smallint, extract(epoch FROM created_at), event_properties))::uuid FROM stored_events WHERE id = 1`).Scan(&documented)
	if err != nil || documented != one.ID {
		t.Errorf("docs/contract.md makes the id %s of it, %v; it is %s", documented, err, one.ID)
	}
	if w, err := stored.Watermark(t.Context(), conn); err != nil || w != 2 {
		t.Errorf("watermark %d, %v", w, err)
	}
	if _, err := stored.Append(t.Context(), conn, newEvent(1)); !errors.As(err, new(*eventlog.PreconditionError)) {
		t.Errorf("an append that only the application can make: %v", err)
	}
}

// The ids of a log without ids tell histories apart, and nothing else changes
// them: not the session's settings, nor what the application writes afterwards.
func TestIDsMadeOfContentTellHistoriesApart(t *testing.T) {
	url, conn := layouts()["stored events"].source(t)
	for n := range 3 {
		if err := appendStored(t.Context(), conn, n); err != nil {
			t.Fatal(err)
		}
	}
	tail := marks(t, conn)
	elsewhere := connect(t, url)
	execute(t, elsewhere, "SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; SET extra_float_digits = 0")
	execute(t, elsewhere, "UPDATE stored_events SET meta_data = '[]', aggregate_uuid = gen_random_uuid()")
	if err := stored.Compare(t.Context(), elsewhere, tail); err != nil {
		t.Errorf("the same events: %v", err)
	}
	for change, back := range map[string]string{
		`event_properties = '{"n":7}'`:       `event_properties = json_build_object('n', 1)`,
		`event_class = 'other'`:              `event_class = 'counted'`,
		`event_version = 2`:                  `event_version = 1`,
		`created_at = '2024-04-06 12:00:01'`: `created_at = '2024-04-06 12:00:00'`,
	} {
		execute(t, conn, "UPDATE stored_events SET "+change+" WHERE id = 2")
		if diverged, ok := errors.AsType[*eventlog.DivergedError](stored.Compare(t.Context(), conn, tail)); !ok || diverged.Position != 2 {
			t.Errorf("%s is not seen", change)
		}
		execute(t, conn, "UPDATE stored_events SET "+back+" WHERE id = 2")
	}
	if err := stored.Compare(t.Context(), conn, tail); err != nil {
		t.Errorf("all put back: %v", err)
	}
}

func marks(t *testing.T, conn *pgx.Conn) []eventlog.Mark {
	t.Helper()
	read, err := stored.Reader(conn, 0).Next(t.Context(), eventlog.Limit{Events: 10})
	if err != nil {
		t.Fatal(err)
	}
	var tail []eventlog.Mark
	for _, e := range read {
		tail = append(tail, eventlog.Mark{Position: e.Position, ID: e.ID})
	}
	return tail
}

// The application appends as it always did, as a role that can do nothing else,
// and the fence stops it; what it had inserted before it may still complete.
func TestTheFenceOfStoredEvents(t *testing.T) {
	url, conn := layouts()["stored events"].source(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	role := newRole(t)
	for range 2 {
		for _, allow := range []func(context.Context, eventlog.DB, string) error{stored.AllowReading, stored.AllowAppending} {
			if err := allow(t.Context(), conn, role); err != nil {
				t.Fatal(err)
			}
		}
	}
	writer := connect(t, server.URLAs(role, "secret", config.Database))
	if err := stored.CheckAppend(t.Context(), writer); err != nil {
		t.Fatal(err)
	}
	if err := appendStored(t.Context(), writer, 1); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO stored_events (id, event_class, event_properties, meta_data, created_at) VALUES (1000, 'x', '{}', '{}', now())",
		"SELECT setval('stored_events_id_seq', 1000)",
		"UPDATE stored_events SET event_properties = '{}'", "UPDATE stored_events SET id = 7", "DELETE FROM stored_events", "TRUNCATE stored_events",
	} {
		refused(t, writer, statement)
	}
	execute(t, writer, "BEGIN")
	if err := appendStored(t.Context(), writer, 2); err != nil {
		t.Fatal(err)
	}
	if err := stored.ForbidAppending(t.Context(), conn, role); err != nil {
		t.Fatal(err)
	}
	if found, err := stored.Appenders(t.Context(), conn, []string{role}); err != nil || len(found) != 0 {
		t.Errorf("%v may append, %v", found, err)
	}
	if own, err := stored.HoldersOf(t.Context(), conn, role); err != nil || len(own) != 1 {
		t.Errorf("holders %+v, %v; want the one transaction", own, err)
	}
	execute(t, writer, "UPDATE stored_events SET meta_data = '[]' WHERE id = 2")
	execute(t, writer, "COMMIT")
	if err := appendStored(t.Context(), writer, 3); err == nil {
		t.Error("a fenced application appends")
	}
	if got := loggedIn(t, stored, conn); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("the log holds %v", got)
	}
}

// Whoever has inserted an event and waits to complete it is told from those who
// wait to insert one.
func TestWhoCompletesAnEventIsCounted(t *testing.T) {
	url, conn := layouts()["stored events"].source(t)
	if err := appendStored(t.Context(), conn, 1); err != nil {
		t.Fatal(err)
	}
	_, tx := begin(t, url)
	if _, err := stored.Exclude(t.Context(), tx, time.Second, time.Minute); err != nil {
		t.Fatal(err)
	}
	if waiting, err := stored.Completing(t.Context(), tx); err != nil || waiting != 0 {
		t.Errorf("%d complete an event, %v", waiting, err)
	}
	updating, inserting := connect(t, url), connect(t, url)
	done := make(chan error, 2)
	go func() {
		_, err := updating.Exec(context.Background(), `update "stored_events" set "meta_data" = $1 where "id" = $2`, "[]", 1)
		done <- err
	}()
	go func() { done <- appendStored(context.Background(), inserting, 2) }()
	for range 200 {
		var all int
		if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stored_events'::regclass").Scan(&all); err != nil {
			t.Fatal(err)
		}
		if all == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	waiting, err := stored.Completing(t.Context(), tx)
	if err != nil || waiting != 1 {
		t.Errorf("%d complete an event, %v; want 1", waiting, err)
	}
	commit(t, tx)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestADescriptionThatDoesNotFitIsRefused(t *testing.T) {
	described := func(change func(*eventlog.Table)) *eventlog.Log {
		table := eventlog.SpatieStoredEvents()
		change(&table)
		return eventlog.New(table)
	}
	for name, c := range map[string]struct {
		log     *eventlog.Log
		prepare string
		reason  eventlog.Reason
		advice  string
	}{
		"another table":          {log: described(func(t *eventlog.Table) { t.Name = "event_store" }), reason: eventlog.ReasonLogAbsent, advice: "spec.source.log"},
		"a column that is not":   {log: described(func(t *eventlog.Table) { t.EventName = "event_klass" }), reason: eventlog.ReasonShape, advice: `no column "event_klass"`},
		"a column of no id":      {log: described(func(t *eventlog.Table) { t.ID = "event_class" }), reason: eventlog.ReasonShape, advice: "character varying, not uuid"},
		"an id that may be none": {log: described(func(t *eventlog.Table) { t.ID = "aggregate_uuid" }), reason: eventlog.ReasonShape, advice: "SET NOT NULL"},
		"no zone":                {log: described(func(t *eventlog.Table) { t.TimeZone = "" }), reason: eventlog.ReasonShape, advice: "timestamp without time zone, not timestamp with time zone"},
		"a zone that is not":     {log: described(func(t *eventlog.Table) { t.TimeZone = "Middle/Earth" }), reason: eventlog.ReasonShape, advice: "pg_timezone_names"},
		"a column that nobody writes": {log: described(func(t *eventlog.Table) { t.Inserted = []string{"created_at"} }), reason: eventlog.ReasonShape,
			advice: `"meta_data" of the log "public"."stored_events" must have a value`},
		"a written column that is not": {log: described(func(t *eventlog.Table) { t.Updated = []string{"metadata"} }), reason: eventlog.ReasonShape, advice: `no column "metadata"`},
		"positions of the writers":     {log: described(func(t *eventlog.Table) { t.Inserted = append(t.Inserted, "id") }), reason: eventlog.ReasonShape, advice: "only the sequence may give"},
		"positions of nobody":          {log: stored, prepare: "ALTER SEQUENCE stored_events_id_seq OWNED BY NONE", reason: eventlog.ReasonSequence, advice: "has no sequence"},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := layouts()["stored events"].source(t)
			execute(t, conn, c.prepare)
			assertRefused(t, c.log.Check(t.Context(), conn), c.reason, c.advice)
		})
	}
}

func TestADescriptionIsReadAsItIsTold(t *testing.T) {
	read, err := eventlog.ParseTable([]byte(`{"schema": "public", "table": "stored_events", "position": "id", "name": "event_class", "version": "event_version",
		"payload": "event_properties", "recordedAt": "created_at", "timeZone": "UTC", "inserted": ["aggregate_uuid", "aggregate_version", "meta_data", "created_at"], "updated": ["meta_data"]}`))
	if err != nil || eventlog.New(read).Rows() != stored.Rows() || read.IsDefault() || !eventlog.DefaultTable().IsDefault() {
		t.Errorf("read %+v, %v", read, err)
	}
	for text, want := range map[string]string{`{"schema": "public"}`: "must name", `{"tabel": "x"}`: "unknown field", `[]`: "read the description"} {
		if _, err := eventlog.ParseTable([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

// Positions of type integer are as good as any: a reader without an end asks for
// more than they can be.
func TestALogWhosePositionsAreIntegersIsRead(t *testing.T) {
	conn := connect(t, server.Database(t))
	if err := events.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, "ALTER TABLE events ALTER COLUMN position TYPE integer")
	for n := range 3 {
		if _, err := events.Append(t.Context(), conn, newEvent(n)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := events.Reader(conn, 1).Next(t.Context(), eventlog.Limit{Events: 10})
	if err != nil || len(found) != 2 {
		t.Errorf("after the first come %v: %v", found, err)
	}
	if watermark, err := events.Watermark(t.Context(), conn); err != nil || watermark != 3 {
		t.Errorf("the watermark is %d: %v", watermark, err)
	}
}
