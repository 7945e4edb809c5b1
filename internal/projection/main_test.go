package projection_test

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

// The server writes nothing to the disk before it must.
func TestMain(m *testing.M) {
	os.Exit(pgtest.Run(m, &server, "wal_writer_delay=10s", "wal_writer_flush_after=0"))
}

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

// source makes a database with an empty log.
func source(t testing.TB) (string, *pgx.Conn) {
	t.Helper()
	url := server.Database(t)
	conn := connect(t, url)
	if err := log.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return url, conn
}

// generated makes a log of n events.
func generated(t testing.TB, n int, seed uint64) (string, *pgx.Conn) {
	t.Helper()
	url, conn := source(t)
	if err := library.Generate(t.Context(), conn, log, n, seed, nil); err != nil {
		t.Fatal(err)
	}
	return url, conn
}

func edition(t testing.TB) library.Edition {
	t.Helper()
	e, err := library.EditionOf("3.1.2")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// migrated makes an empty version database and the options to fill it.
func migrated(t testing.TB, source string) (projection.Options, *pgx.Conn) {
	t.Helper()
	url := server.Database(t)
	conn := connect(t, url)
	if err := library.Migrate(t.Context(), conn, edition(t)); err != nil {
		t.Fatal(err)
	}
	return projection.Options{Source: source, Database: url, NewModel: edition(t).Model}, conn
}

func replay(t testing.TB, o projection.Options) projection.Result {
	t.Helper()
	result, err := projection.Replay(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// follow runs a follower up to the position.
func follow(t testing.TB, o projection.Options, until int64) projection.Result {
	t.Helper()
	o.Until = until
	result, err := projection.Follow(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func contentHash(t testing.TB, conn *pgx.Conn) projection.Hash {
	t.Helper()
	h, err := projection.ContentHash(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// assertSame names the tables that differ.
func assertSame(t testing.TB, got, want projection.Hash) {
	t.Helper()
	if got.Position != want.Position {
		t.Errorf("position %d, want %d", got.Position, want.Position)
	}
	for table, sum := range want.Tables {
		if got.Tables[table] != sum {
			t.Errorf("table %s: %s, want %s", table, got.Tables[table], sum)
		}
	}
}

// rebuilt is the hash of a database built from the whole log in one go.
func rebuilt(t testing.TB, source string) projection.Hash {
	t.Helper()
	o, conn := migrated(t, source)
	replay(t, o)
	return contentHash(t, conn)
}

// assertOnce checks with SQL alone that each event was projected once.
func assertOnce(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	if n := count(t, conn, "SELECT count(*) FROM (SELECT FROM projected_events GROUP BY event_id, projector HAVING count(*) > 1) AS twice"); n > 0 {
		t.Errorf("%d events were projected more than once", n)
	}
	if n := count(t, conn, `SELECT count(*) FROM (SELECT entity FROM revisions GROUP BY entity
		HAVING max(version) <> count(*) OR min(version) <> 1 OR count(DISTINCT version) <> count(*)) AS torn`); n > 0 {
		t.Errorf("%d entities have revisions that are not 1, 2, 3 …", n)
	}
}

func add(t testing.TB, conn *pgx.Conn, all ...eventlog.NewEvent) []int64 {
	t.Helper()
	positions, err := log.Append(t.Context(), conn, all...)
	if err != nil {
		t.Fatal(err)
	}
	return positions
}

func count(t testing.TB, conn *pgx.Conn, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
