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
	server.Exec(t, "postgres", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")

	server.Kill()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
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
