package window_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/window"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

const patience = time.Minute

// shown is a log of stored events, and a window on it for a role that may do
// nothing else.
type shown struct {
	t        *testing.T
	log      *eventlog.Log
	source   *pgx.Conn
	account  *pgx.Conn
	config   *pgx.ConnConfig
	build    uuid.UUID
	reader   string
	database *window.Database
}

func newShown(t *testing.T, events int) *shown {
	t.Helper()
	s := &shown{t: t, log: eventlog.New(eventlog.SpatieStoredEvents()), source: connect(t, server.Database(t)), build: uuid.New()}
	definition, err := os.ReadFile("../eventlog/testdata/stored_events.sql")
	s.must(err)
	s.execute(s.source, string(definition))
	s.append(events)
	nonce := strings.ReplaceAll(s.build.String(), "-", "")[:12]
	account := "databases_" + nonce
	s.reader = "owner_" + nonce
	server.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB PASSWORD 'secret'", account), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'secret'", s.reader),
		fmt.Sprintf("GRANT %s TO %s", s.reader, account))
	s.config, err = pgx.ParseConfig(server.URLAs(account, "secret", "postgres"))
	s.must(err)
	s.account = connect(t, server.URLAs(account, "secret", "postgres"))
	s.database = window.Of(s.build, s.config, s.log)
	s.must(s.database.Ensure(t.Context(), s.account, s.source, s.reader))
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s *shown) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shown) execute(conn *pgx.Conn, sql string, args ...any) {
	s.t.Helper()
	_, err := conn.Exec(s.t.Context(), sql, args...)
	s.must(err)
}

func (s *shown) append(events int) {
	s.t.Helper()
	s.execute(s.source, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at)
		SELECT 'reciter.viewed', json_build_object('id', n, 'text', E'a\tb\n"\\ü'), '[]', '2024-04-06 12:00:00' FROM generate_series(1, $1::int) AS n`, events)
}

func (s *shown) fill(w window.Window, skip ...uuid.UUID) window.Progress {
	s.t.Helper()
	p, err := s.database.Fill(s.t.Context(), s.source, w, skip, patience)
	s.must(err)
	return p
}

// asReader is a session of the role for which the window is.
func (s *shown) asReader() *pgx.Conn {
	s.t.Helper()
	return connect(s.t, server.URLAs(s.reader, "secret", s.database.Name()))
}

func (s *shown) seen() []int64 {
	s.t.Helper()
	rows, err := s.asReader().Query(s.t.Context(), "SELECT id FROM stored_events ORDER BY id")
	s.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	s.must(err)
	return ids
}

func TestAWindowHoldsItsPartOfTheLogAndNothingElse(t *testing.T) {
	s := newShown(t, 10)
	s.execute(s.source, "DELETE FROM stored_events WHERE id IN (3, 6)")
	if p := s.fill(window.Window{Round: 1, From: 0, Until: 5}); !p.Done() || p.Events != 4 {
		t.Errorf("filled %+v", p)
	}
	if got := s.seen(); !slices.Equal(got, []int64{1, 2, 4, 5}) {
		t.Errorf("the first round sees %v", got)
	}
	s.append(2)
	s.fill(window.Window{Round: 2, From: 5, Until: 11})
	if got := s.seen(); !slices.Equal(got, []int64{7, 8, 9, 10, 11}) {
		t.Errorf("the second round sees %v", got)
	}
	var same bool
	s.must(connect(t, server.URLAs("postgres", "", s.database.Name())).QueryRow(t.Context(), "SELECT count(*) = 5 FROM stored_events WHERE event_properties->>'text' = E'a\\tb\\n\"\\\\ü'").Scan(&same))
	if !same {
		t.Error("payloads are not what they were")
	}
}

func TestAReaderOfAWindowCanDoNothingElse(t *testing.T) {
	s := newShown(t, 3)
	s.fill(window.Window{Round: 1, Until: 3})
	conn := s.asReader()
	for _, statement := range []string{
		"INSERT INTO stored_events (id, event_class, event_properties, meta_data, created_at) VALUES (9, 'x', '{}', '{}', now())",
		"UPDATE stored_events SET meta_data = '[]'", "DELETE FROM stored_events", "TRUNCATE stored_events", "CREATE TABLE mine (id int)", "SELECT * FROM nawhas_window.progress",
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Errorf("it may %s", statement)
		}
	}
}

// A copy that is interrupted anywhere goes on where it was, and comes to the
// same.
func TestAFillThatWasInterruptedGoesOn(t *testing.T) {
	s := newShown(t, 0)
	s.execute(s.source, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) SELECT 'x', '{}', '[]', '2024-04-06 12:00:00' FROM generate_series(1, 250000)`)
	w := window.Window{Round: 1, Until: 250_000}
	steps := 0
	for p := (window.Progress{Window: w}); !p.Done(); steps++ {
		var err error
		p, err = s.database.Fill(t.Context(), s.source, w, nil, time.Nanosecond)
		s.must(err)
		if steps == 1 {
			cancelled, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			elsewhere := connect(t, s.source.Config().ConnString())
			_, _ = s.database.Fill(cancelled, elsewhere, w, nil, patience)
			cancel()
		}
	}
	var count, distinct int64
	s.must(s.asReader().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT id) FROM stored_events").Scan(&count, &distinct))
	if count != 250_000 || distinct != count || steps < 2 {
		t.Errorf("%d rows with %d ids after %d steps", count, distinct, steps)
	}
	if p := s.fill(w); p.Events != count {
		t.Errorf("it says %d events", p.Events)
	}
}

func TestWhetherAWindowWasReadIsNoticed(t *testing.T) {
	s := newShown(t, 3)
	for round := int32(1); round <= 2; round++ {
		s.fill(window.Window{Round: round, Until: 3})
		conn := s.asReader()
		s.execute(conn, "SELECT 1")
		_ = conn.Close(t.Context())
		if read, err := s.database.WasRead(t.Context()); err != nil || read {
			t.Fatalf("round %d: read %v, %v by a session that only connected", round, read, err)
		}
		conn = s.asReader()
		s.execute(conn, "SELECT * FROM stored_events WHERE id > 0 ORDER BY id LIMIT 1000")
		_ = conn.Close(t.Context())
		if read, err := s.database.WasRead(t.Context()); err != nil || !read {
			t.Fatalf("round %d: read %v, %v after somebody did", round, read, err)
		}
	}
}

func TestEventsToSkipAreLeftOut(t *testing.T) {
	s := newShown(t, 4)
	read, err := s.log.Reader(s.source, 0).Next(t.Context(), eventlog.Limit{Events: 4})
	s.must(err)
	if p := s.fill(window.Window{Round: 1, Until: 4}, read[1].ID, read[3].ID, uuid.New()); p.Events != 2 {
		t.Errorf("filled %+v", p)
	}
	if got := s.seen(); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("it sees %v", got)
	}
}

func TestAWindowIsMadeOnceAndDroppedWithItsSessions(t *testing.T) {
	s := newShown(t, 1)
	s.fill(window.Window{Round: 1, Until: 1})
	s.must(s.database.Ensure(t.Context(), s.account, s.source, s.reader))
	if got := s.seen(); len(got) != 1 {
		t.Errorf("it sees %v after it was made again", got)
	}
	for range 2 {
		s.must(s.database.Drop(t.Context(), s.account))
	}
}

// An autovacuum worker has no role, so that nobody but a superuser may end it.
func TestAWindowThatIsBeingVacuumedIsDropped(t *testing.T) {
	s := newShown(t, 0)
	inWindow, elsewhere := connect(t, server.URLAs("postgres", "", s.database.Name())), connect(t, server.URLAs("postgres", "", "postgres"))
	for _, statement := range []string{
		"ALTER SYSTEM SET autovacuum_naptime = '1s'", "SELECT pg_reload_conf()",
		// A worker needs a minute for what is dead in it.
		"CREATE TABLE dead (text text) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
		"INSERT INTO dead SELECT repeat('x', 1000) FROM generate_series(1, 5000)", "DELETE FROM dead",
	} {
		s.execute(inWindow, statement)
	}
	s.must(inWindow.Close(t.Context()))
	t.Cleanup(func() {
		_, reset := elsewhere.Exec(context.Background(), "ALTER SYSTEM RESET autovacuum_naptime")
		_, reload := elsewhere.Exec(context.Background(), "SELECT pg_reload_conf()")
		if err := errors.Join(reset, reload); err != nil {
			t.Error(err)
		}
	})
	for workers := 0; workers == 0; time.Sleep(20 * time.Millisecond) {
		s.must(elsewhere.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'autovacuum worker'", s.database.Name()).Scan(&workers))
	}
	s.must(s.database.Drop(t.Context(), s.account))
}

// Between the database and its table the operator may have ended.
func TestADatabaseWithoutItsTableGetsIt(t *testing.T) {
	s := newShown(t, 1)
	s.must(s.database.Drop(t.Context(), s.account))
	s.execute(s.account, "CREATE DATABASE "+s.database.Name()+" TEMPLATE template0")
	s.must(s.database.Ensure(t.Context(), s.account, s.source, s.reader))
	s.fill(window.Window{Round: 1, Until: 1})
}

// A log may get a column, or a wider one, between two rounds and within one.
func TestAWindowHasTheColumnsThatTheLogHasNow(t *testing.T) {
	s := newShown(t, 3)
	s.fill(window.Window{Round: 1, Until: 3})
	for _, change := range []string{"ALTER TABLE stored_events ADD COLUMN note text", "ALTER TABLE stored_events ALTER COLUMN event_class TYPE varchar(500)"} {
		s.execute(s.source, change)
		s.execute(s.source, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) VALUES (repeat('x', CASE WHEN $1 LIKE '%500%' THEN 400 ELSE 4 END), '{}', '[]', now())`, change)
		s.must(s.database.Ensure(t.Context(), s.account, s.source, s.reader))
		if p := s.fill(window.Window{Round: 2, From: 1, Until: 5}); !p.Done() {
			t.Errorf("filled %+v after %s", p, change)
		}
	}
	if got := s.seen(); !slices.Equal(got, []int64{2, 3, 4, 5}) {
		t.Errorf("it sees %v", got)
	}
	s.execute(s.asReader(), "SELECT note FROM stored_events")
}

func TestALogWithATypeOfItsOwnIsRefused(t *testing.T) {
	s := newShown(t, 1)
	s.must(s.database.Drop(t.Context(), s.account))
	s.execute(s.source, "CREATE TYPE mood AS ENUM ('glad')")
	s.execute(s.source, "ALTER TABLE stored_events ADD COLUMN mood mood")
	err := s.database.Ensure(t.Context(), s.account, s.source, s.reader)
	if unsuitable, ok := errors.AsType[*window.UnsuitableError](err); !ok || !strings.Contains(unsuitable.Error(), `"mood"`) {
		t.Errorf("got %v", err)
	}
}

// Rows pass as text, and each side may have its own idea of how to write a date.
func TestAWindowHasTheDatesOfTheLog(t *testing.T) {
	s := newShown(t, 3)
	s.execute(s.source, "SET datestyle = 'SQL, DMY'")
	s.fill(window.Window{Round: 1, From: 0, Until: 3})
	var same bool
	s.must(connect(t, server.URLAs("postgres", "", s.database.Name())).QueryRow(t.Context(), "SELECT bool_and(created_at = '2024-04-06 12:00:00') FROM stored_events").Scan(&same))
	if !same {
		t.Error("days and months have changed places")
	}
}
