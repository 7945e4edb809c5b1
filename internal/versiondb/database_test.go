package versiondb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

func TestADatabaseGivesItsRolesTheirRightsAndNobodyElse(t *testing.T) {
	o := newOperator(t, server, server)
	v, owner, app := o.build(t)
	ownerSide := owner.connect(t, v.Names.Database)
	execute(t, ownerSide, "CREATE TABLE before (n int)")
	for range 2 {
		if err := versiondb.GrantReading(t.Context(), ownerSide, v.Names); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, ownerSide, "CREATE TABLE after (n int)")
	execute(t, ownerSide, "CREATE TEMP TABLE scratch (n int)")

	conn := app.connect(t, v.Names.Database)
	execute(t, conn, "SELECT * FROM before, after")
	for _, statement := range []string{"CREATE TABLE mine ()", "CREATE TEMP TABLE mine ()", "CREATE SCHEMA mine",
		"INSERT INTO after VALUES (1)", "UPDATE after SET n = 1", "DELETE FROM before", "TRUNCATE after", "DROP TABLE after"} {
		refused(t, conn, statement)
	}

	database := v.Names.Database
	for _, statement := range []string{"CREATE SCHEMA mine", "DROP DATABASE " + database, "COMMENT ON DATABASE " + database + " IS 'mine'",
		"ALTER DATABASE " + database + " RENAME TO mine", "GRANT CONNECT ON DATABASE " + database + " TO PUBLIC"} {
		if strings.HasPrefix(statement, "GRANT") {
			execute(t, ownerSide, statement) // a warning, and no effect
			continue
		}
		refused(t, ownerSide, statement)
	}
	_, stranger, _ := o.build(t)
	if _, err := pgx.Connect(t.Context(), server.URLAs(stranger.name, stranger.password, database)); !isRefusal(err) {
		t.Errorf("the role of another version connects: %v", err)
	}
}

func TestEnsureLeavesADatabaseThatIsRightAlone(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, _ := o.build(t)
	before := databaseState(t, server, v.Names.Database)
	if err := o.at(t).Ensure(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	if after := databaseState(t, server, v.Names.Database); after != before {
		t.Fatalf("written again:\n%s\n%s", before, after)
	}
}

func TestForeignDatabasesAreLeftAlone(t *testing.T) {
	o := newOperator(t, server, server)
	for name, comment := range foreignComments(t) {
		t.Run(name, func(t *testing.T) {
			v := newVersion(t)
			o.ensureRoles(t, v)
			conn := o.onDatabases(t)
			execute(t, conn, "CREATE DATABASE "+v.Names.Database)
			if comment != "" {
				execute(t, conn, fmt.Sprintf("COMMENT ON DATABASE %s IS '%s'", v.Names.Database, comment))
			}
			leftAlone(t, o, v)
		})
	}
}

func TestAnotherBuildsDatabaseIsLeftAlone(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, _ := o.build(t)
	v.Stamp.Build = uuid.New()
	leftAlone(t, o, v)
}

func leftAlone(t *testing.T, o operator, v versiondb.Database) {
	t.Helper()
	session := superuser(t, server, v.Names.Database)
	before := databaseState(t, server, v.Names.Database)
	conn := o.onDatabases(t)
	foreign(t, o.at(t).Ensure(t.Context(), conn, v), "database", v.Names.Database)
	if err := o.at(t).Retire(t.Context(), conn, v); err != nil {
		t.Errorf("a foreign database is in the way of a retirement: %v", err)
	}
	if after := databaseState(t, server, v.Names.Database); after != before {
		t.Errorf("a foreign database was written:\n%s\n%s", before, after)
	}
	execute(t, session, "SELECT 1")
	nothingBeside(t, v)
}

func TestForeignErrorsSayWhoseItIs(t *testing.T) {
	stamp := newVersion(t).Stamp
	text := (&versiondb.ForeignError{Kind: "database", Name: "nawhas_v3_1_2", Comment: stamp.String()}).Error()
	for _, part := range []string{`"nawhas_v3_1_2"`, stamp.Release, stamp.Version, stamp.Build.String(), stamp.Installation.String(), "left as it is", "Rename or drop"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not name %s", text, part)
		}
	}
}

func TestRetireEndsSessionsAndDrops(t *testing.T) {
	o := newOperator(t, server, server)
	v, owner, app := o.build(t)
	sessions := []*pgx.Conn{owner.connect(t, v.Names.Database), app.connect(t, v.Names.Database)}
	execute(t, sessions[0], "CREATE TABLE kept ()")
	execute(t, sessions[0], "BEGIN")
	execute(t, sessions[0], "LOCK TABLE kept")
	for range 2 {
		if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, v)
	for _, session := range sessions {
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("a session outlived its database")
		}
	}
}

func TestRetireNamesSessionsThatItMayNotEnd(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, _ := o.build(t)
	administrator := superuser(t, server, v.Names.Database)
	err := o.at(t).Retire(t.Context(), o.onDatabases(t), v)
	if want := fmt.Sprintf("postgres (pid %d)", administrator.PgConn().PID()); err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v; want to be told of %s", err, want)
	}
	execute(t, administrator, "SELECT 1")
	_ = administrator.Close(t.Context())
	if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	gone(t, v)
}

// An autovacuum worker has no role, so that nobody but a superuser may end it.
func TestRetireDropsWhatIsBeingVacuumed(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, _ := o.build(t)
	draft := "nawhas_draft_" + strings.ReplaceAll(v.Stamp.Build.String(), "-", "")
	execute(t, o.onDatabases(t), "CREATE DATABASE "+draft)
	session := superuser(t, server, draft)
	for _, statement := range []string{
		"ALTER SYSTEM SET autovacuum_naptime = '1s'", "SELECT pg_reload_conf()",
		// A worker needs a minute for what is dead in it.
		"CREATE TABLE dead (text text) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
		"INSERT INTO dead SELECT repeat('x', 1000) FROM generate_series(1, 5000)", "DELETE FROM dead",
	} {
		execute(t, session, statement)
	}
	_ = session.Close(t.Context())
	watching := superuser(t, server, "postgres")
	t.Cleanup(func() {
		_, reset := watching.Exec(context.Background(), "ALTER SYSTEM RESET autovacuum_naptime")
		_, reload := watching.Exec(context.Background(), "SELECT pg_reload_conf()")
		if err := errors.Join(reset, reload); err != nil {
			t.Error(err)
		}
	})
	for read(t, watching, "SELECT count(*)::text FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'autovacuum worker'", draft) == "0" {
		time.Sleep(20 * time.Millisecond)
	}

	if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	gone(t, v)
}

func TestFindTellsWhatIsThere(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, _ := o.build(t)
	conn := o.onDatabases(t)
	found, err := versiondb.Find(t.Context(), conn, v.Names.Database)
	if err != nil || !found.Exists || !found.Stamped || found.Stamp != v.Stamp {
		t.Errorf("got %+v, %v", found, err)
	}
	found, err = versiondb.Find(t.Context(), conn, "missing")
	if err != nil || found != (versiondb.Found{}) {
		t.Errorf("got %+v, %v; want nothing", found, err)
	}
	found, err = versiondb.Find(t.Context(), conn, o.sourceDatabase)
	if err != nil || !found.Exists || found.Stamped {
		t.Errorf("got %+v, %v; want an unstamped database", found, err)
	}
}

// gone fails the test unless nothing of the version's database is left.
func gone(t *testing.T, v versiondb.Database) {
	t.Helper()
	if left := read(t, superuser(t, server, "postgres"), "SELECT count(*)::text FROM pg_database WHERE datname = $1", v.Names.Database); left != "0" {
		t.Errorf("database %s is still there", v.Names.Database)
	}
	nothingBeside(t, v)
}

// nothingBeside fails the test when a draft or a tombstone of the version is left.
func nothingBeside(t *testing.T, v versiondb.Database) {
	t.Helper()
	left := read(t, superuser(t, server, "postgres"), "SELECT coalesce(string_agg(datname, ', '), '') FROM pg_database WHERE datname LIKE '%' || $1",
		strings.ReplaceAll(v.Stamp.Build.String(), "-", ""))
	if left != "" {
		t.Errorf("left over: %s", left)
	}
}

func isRefusal(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == insufficientPrivilege
}
