package projection_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// as replaces the account in a connection string.
func as(t testing.TB, address, role string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "x")
	return u.String()
}

// The role that a version's jobs get owns its tables and may read the log.
func TestTheRightsOfAVersionsOwnerAreEnough(t *testing.T) {
	from, sourceAdmin := generated(t, 300, 1)
	to := server.Database(t)
	admin := connect(t, to)
	database := admin.Config().Database
	role := "owner_" + database
	run(t, admin, "CREATE ROLE "+role+" LOGIN PASSWORD 'x'", "ALTER ROLE "+role+" SET idle_in_transaction_session_timeout = '5s'",
		"REVOKE ALL ON DATABASE "+database+" FROM PUBLIC", "GRANT CONNECT ON DATABASE "+database+" TO "+role,
		"GRANT USAGE, CREATE ON SCHEMA public TO "+role)
	run(t, sourceAdmin, "GRANT SELECT ON events TO "+role, "GRANT SELECT ON SEQUENCE events_position_seq TO "+role)
	owner := connect(t, as(t, to, role))
	if err := library.Migrate(t.Context(), owner, edition(t)); err != nil {
		t.Fatal(err)
	}
	o := projection.Options{Source: as(t, from, role), Database: as(t, to, role), NewModel: edition(t).Model, Silence: 100 * time.Millisecond}

	run(t, owner, "SELECT pg_advisory_lock(7953769707108237314)")
	// What is set for people must not end an index.
	run(t, admin, "ALTER ROLE "+role+" SET statement_timeout = '1ms'")
	replay(t, o)
	if _, err := owner.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the silent session still lives")
	}
	follow(t, o, 300)
	assertSame(t, contentHash(t, admin), rebuilt(t, from))
}

func run(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// A writer that does not finish is named, and nothing is lost when it does.
func TestAWriterThatHoldsAReplayUpIsNamed(t *testing.T) {
	from, writer := generated(t, 20, 1)
	tx, err := writer.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(t, writer, deletion(t))
	o, conn := migrated(t, from)
	heard := &reports{}
	o.Reporter = heard
	ended := make(chan error, 1)
	go func() {
		_, err := projection.Replay(t.Context(), o)
		ended <- err
	}()
	for !heard.any(func(r projection.Report) bool { return strings.Contains(r.Waiting, "of role postgres (open for") }) {
		select {
		case err := <-ended:
			t.Fatalf("the replay did not wait: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if last := heard.last(); last.Waiting != "" || last.Position != 21 || last.Stage != string(projection.StageComplete) {
		t.Errorf("the last report is %+v", last)
	}
	assertOnce(t, conn)
}

// A cancelled replay says so and can be resumed.
func TestACancelledReplay(t *testing.T) {
	from, _ := generated(t, 200, 1)
	o, conn := migrated(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := projection.Replay(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	replay(t, o)
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
}

// Nothing bounds a payload that another program wrote past Append.
func TestAnEventOfTenMegabytes(t *testing.T) {
	from, writer := source(t)
	_, err := writer.Exec(t.Context(), `INSERT INTO events (id, name, payload) SELECT gen_random_uuid(), 'ReciterCreated',
		jsonb_build_object('id', gen_random_uuid(), 'attributes', jsonb_build_object('name', repeat('نوحہ ', 1000000))) FROM generate_series(1, 3)`)
	if err != nil {
		t.Fatal(err)
	}
	o, conn := migrated(t, from)
	if result := replay(t, o); result.Events != 3 {
		t.Errorf("got %+v", result)
	}
	if n := count(t, conn, "SELECT max(length(slug)) FROM reciters WHERE length(name) = 5000000"); n > 150 || n == 0 {
		t.Errorf("slugs of %d characters", n)
	}
}
