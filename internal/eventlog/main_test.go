package eventlog_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server, "max_prepared_transactions=20")) }

var events = eventlog.New(eventlog.DefaultTable())

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// source makes a database with an empty log.
func source(t testing.TB) (string, *pgx.Conn) {
	t.Helper()
	url := server.Database(t)
	conn := connect(t, url)
	if err := events.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return url, conn
}

func execute(t testing.TB, db eventlog.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func newEvent(n int) eventlog.NewEvent {
	return eventlog.NewEvent{ID: uuid.New(), Name: "Counted", Version: 1, Payload: fmt.Appendf(nil, `{"n": %d}`, n)}
}

func add(t testing.TB, db eventlog.DB, all ...eventlog.NewEvent) []int64 {
	t.Helper()
	positions, err := events.Append(t.Context(), db, all...)
	if err != nil {
		t.Fatal(err)
	}
	return positions
}

// logged are the positions that the log holds now, in order.
func logged(t testing.TB, db eventlog.DB) []int64 {
	t.Helper()
	return loggedIn(t, events, db)
}

func loggedIn(t testing.TB, log *eventlog.Log, db eventlog.DB) []int64 {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT position FROM "+log.Rows()+" AS e ORDER BY position")
	if err != nil {
		t.Fatal(err)
	}
	positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return positions
}

// next reads once and returns the positions.
func next(t testing.TB, r *eventlog.Reader) []int64 {
	t.Helper()
	read, err := r.Next(t.Context(), eventlog.Limit{Events: 3})
	if err != nil {
		t.Fatal(err)
	}
	positions := make([]int64, len(read))
	for i, e := range read {
		positions[i] = e.Position
	}
	return positions
}

// naive is the reader that everyone writes first.
type naive struct {
	log  *eventlog.Log
	conn *pgx.Conn
	last int64
	seen []int64
}

func (n *naive) next(t testing.TB) {
	t.Helper()
	rows, err := n.conn.Query(t.Context(), "SELECT position FROM "+n.log.Rows()+" AS e WHERE position > $1 ORDER BY position", n.last)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		n.last = found[len(found)-1]
	}
	n.seen = append(n.seen, found...)
}
