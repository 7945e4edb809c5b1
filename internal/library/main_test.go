package library_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

var log = eventlog.New(eventlog.DefaultTable())

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func edition(t testing.TB) library.Edition {
	t.Helper()
	e, err := library.EditionOf("3.1.2")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// world is a log and a version's database that follows it.
type world struct {
	testing.TB
	log, library *pgx.Conn
	options      projection.Options
}

// newWorld has a complete, empty database: a follower does the rest.
func newWorld(t testing.TB) *world {
	t.Helper()
	from, to := server.Database(t), server.Database(t)
	w := &world{TB: t, log: connect(t, from), library: connect(t, to),
		options: projection.Options{Source: from, Database: to, NewModel: edition(t).Model}}
	if err := log.Init(t.Context(), w.log); err != nil {
		t.Fatal(err)
	}
	if err := library.Migrate(t.Context(), w.library, edition(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := projection.Replay(t.Context(), w.options); err != nil {
		t.Fatal(err)
	}
	return w
}

// happen appends the events and applies them.
func (w *world) happen(events ...eventlog.NewEvent) projection.Result {
	w.Helper()
	positions, err := log.Append(w.Context(), w.log, events...)
	if err != nil {
		w.Fatal(err)
	}
	o := w.options
	o.Until = positions[len(positions)-1]
	result, err := projection.Follow(w.Context(), o)
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// text reads one value as text; a missing row or NULL is "-".
func (w *world) text(sql string, args ...any) string {
	w.Helper()
	var value string
	err := w.library.QueryRow(w.Context(), "SELECT coalesce(("+sql+")::text, '-')", args...).Scan(&value)
	if err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return value
}

func (w *world) want(want, sql string, args ...any) {
	w.Helper()
	if got := w.text(sql, args...); got != want {
		w.Errorf("%s: %s, want %s", sql, got, want)
	}
}

// must is for event constructors, which fail only when the machine does.
func must(e eventlog.NewEvent, err error) eventlog.NewEvent {
	if err != nil {
		panic(err)
	}
	return e
}
