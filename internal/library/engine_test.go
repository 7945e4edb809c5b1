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

func count(t testing.TB, conn *pgx.Conn, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestReplayAndFollowMakeTheSameDatabase(t *testing.T) {
	from, writer := generated(t, 6000, 1)
	whole, wholeConn := migrated(t, from)
	part, partConn := migrated(t, from)

	replay(t, part)
	if err := library.Generate(t.Context(), writer, log, 6000, 2, nil); err != nil {
		t.Fatal(err)
	}
	part.Until, part.ChunkEvents = 12000, 7
	if _, err := projection.Follow(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	result := replay(t, whole)

	if result.Position != 12000 || result.Events != 12000 {
		t.Errorf("replayed %d events up to %d, want 12000 of both", result.Events, result.Position)
	}
	assertSame(t, contentHash(t, partConn), contentHash(t, wholeConn))
	for _, outcome := range []projection.Outcome{library.UnknownReciter, library.NameClash, library.DeletedBefore} {
		if result.Outcomes["reciters"][outcome] == 0 {
			t.Errorf("the generated log has no %s", outcome)
		}
	}
}
