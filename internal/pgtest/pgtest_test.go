package pgtest_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

func TestCommittedRowsSurviveAKill(t *testing.T) {
	database := server.Database(t)
	execute(t, database, "CREATE TABLE kept AS SELECT 7 AS n")

	busy, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	working := make(chan error)
	go func() {
		_, err := busy.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 1000000000)")
		working <- err
	}()

	server.Kill()
	if err := <-working; err == nil {
		t.Error("a session outlived its server")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
		t.Fatalf("read %d, %v; want 7", n, err)
	}
}

func TestEachTestGetsItsOwnDatabase(t *testing.T) {
	first, second := server.Database(t), server.Database(t)
	if first == second {
		t.Fatalf("both tests got %s", first)
	}
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
