package versiondb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

// serial keeps the names of roles and databases of different tests apart.
var serial atomic.Int64

const insufficientPrivilege = "42501"

// account is a role that logs in to one server.
type account struct {
	server         *pgtest.Server
	name, password string
}

func (a account) connect(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), a.server.URLAs(a.name, a.password, database))
	if err != nil {
		t.Fatalf("%s connects to %s: %v", a.name, database, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// newAccount makes an account such as a managed Postgres gives out.
func newAccount(t testing.TB, s *pgtest.Server, kind, attributes string) account {
	t.Helper()
	a := account{server: s, name: fmt.Sprintf("%s-%d", kind, serial.Add(1)), password: "secret"}
	s.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %q LOGIN %s PASSWORD '%s'", a.name, attributes, a.password))
	return a
}

// operator is what the operator has: an account that owns the source and
// makes roles, and one that makes databases and roles. None is a superuser.
type operator struct {
	source, databases account
	sourceDatabase    string
}

func newOperator(t testing.TB, sourceServer, databasesServer *pgtest.Server) operator {
	t.Helper()
	o := operator{
		source:    newAccount(t, sourceServer, "source", "CREATEROLE"),
		databases: newAccount(t, databasesServer, "databases", "CREATEDB CREATEROLE"),
	}
	config, err := pgx.ParseConfig(sourceServer.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	o.sourceDatabase = config.Database
	sourceServer.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s OWNER TO %q", o.sourceDatabase, o.source.name))
	return o
}

func (o operator) onSource(t testing.TB) *pgx.Conn    { return o.source.connect(t, o.sourceDatabase) }
func (o operator) onDatabases(t testing.TB) *pgx.Conn { return o.databases.connect(t, "postgres") }

// at is the databases server, as the operator knows it.
func (o operator) at(t testing.TB) versiondb.Server {
	t.Helper()
	config, err := pgx.ParseConfig(o.databases.server.URLAs(o.databases.name, o.databases.password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return versiondb.Server{Config: config}
}

// newVersion is a version that no other test has.
func newVersion(t testing.TB) versiondb.Database {
	t.Helper()
	names, err := versiondb.NamesOf(fmt.Sprintf("t%d_v", serial.Add(1)), "3.1.2")
	if err != nil {
		t.Fatal(err)
	}
	return versiondb.Database{Names: names, Stamp: versiondb.Stamp{
		Installation: uuid.New(), Release: "default/nawhas", Version: "3.1.2", Build: uuid.New()}}
}

func (o operator) role(name, password string, stamp versiondb.Stamp) versiondb.Role {
	return versiondb.Role{Name: name, Password: password, Stamp: stamp, Members: []string{o.source.name, o.databases.name}}
}

// ensureRoles makes a version's roles on both servers, as the operator does.
func (o operator) ensureRoles(t testing.TB, v versiondb.Database) (owner, app account) {
	t.Helper()
	owner = account{o.databases.server, v.Names.Owner, versiondb.NewPassword()}
	app = account{o.databases.server, v.Names.App, versiondb.NewPassword()}
	source, databases := o.onSource(t), o.onDatabases(t)
	for _, a := range []account{owner, app} {
		for _, conn := range []*pgx.Conn{source, databases} {
			if err := versiondb.EnsureRole(t.Context(), conn, o.role(a.name, a.password, v.Stamp)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return owner, app
}

// build makes a version's roles and database.
func (o operator) build(t testing.TB) (v versiondb.Database, owner, app account) {
	t.Helper()
	v = newVersion(t)
	owner, app = o.ensureRoles(t, v)
	if err := o.at(t).Ensure(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	return v, owner, app
}

func execute(t testing.TB, db versiondb.DB, sql string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// refused fails the test unless the server refuses the statement for want of rights.
func refused(t testing.TB, db versiondb.DB, sql string) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != insufficientPrivilege {
		t.Errorf("%s: %v; want it refused for want of rights", sql, err)
	}
}

// superuser is a connection that may see everything.
func superuser(t testing.TB, s *pgtest.Server, database string) *pgx.Conn {
	t.Helper()
	return account{server: s, name: "postgres"}.connect(t, database)
}

// read is the single text that a query gives.
func read(t testing.TB, db versiondb.DB, sql string, args ...any) string {
	t.Helper()
	var text string
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// roleState changes whenever anything is written about a role.
func roleState(t testing.TB, s *pgtest.Server, name string) string {
	t.Helper()
	return read(t, superuser(t, s, "postgres"), `SELECT concat_ws(' ', a.xmin,
		(SELECT string_agg(d.xmin || d.description, ',') FROM pg_shdescription d WHERE d.objoid = a.oid AND d.classoid = 'pg_authid'::regclass),
		(SELECT string_agg(m.xmin || ':' || m.member, ',' ORDER BY m.member) FROM pg_auth_members m WHERE m.roleid = a.oid),
		(SELECT string_agg(r.xmin::text, ',') FROM pg_db_role_setting r WHERE r.setrole = a.oid))
		FROM pg_authid a WHERE a.rolname = $1`, name)
}

// databaseState changes whenever anything is written about a database.
func databaseState(t testing.TB, s *pgtest.Server, name string) string {
	t.Helper()
	return read(t, superuser(t, s, "postgres"), `SELECT concat_ws(' ', d.oid, d.xmin, shobj_description(d.oid, 'pg_database'))
		FROM pg_database d WHERE d.datname = $1`, name)
}

func foreign(t testing.TB, err error, kind, name string) {
	t.Helper()
	found, ok := errors.AsType[*versiondb.ForeignError](err)
	if !ok || found.Kind != kind || found.Name != name {
		t.Fatalf("got %v; want a ForeignError about %s %s", err, kind, name)
	}
}
