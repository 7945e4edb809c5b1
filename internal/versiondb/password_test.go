package versiondb_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// What the fingerprint does not tell, trying does.
func TestAPasswordThatWasChangedByHandIsPutBack(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	role := o.role(app.name, app.password, v.Stamp)
	config, err := pgx.ParseConfig(server.URLAs(app.name, app.password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if !versiondb.TakesPassword(t.Context(), config) {
		t.Fatal("a password that is right is not taken")
	}
	for _, change := range []string{"PASSWORD 'by hand'", "PASSWORD NULL", "VALID UNTIL '2001-01-01'"} {
		server.Exec(t, "postgres", "ALTER ROLE "+app.name+" "+change)
		if err := versiondb.EnsureRole(t.Context(), o.onSource(t), role); err != nil {
			t.Fatal(err)
		}
		if versiondb.TakesPassword(t.Context(), config) {
			t.Errorf("after %s the password is taken", change)
		}

		if err := versiondb.ResetPassword(t.Context(), o.onSource(t), role); err != nil {
			t.Fatal(err)
		}

		app.connect(t, "postgres")
	}
	server.Exec(t, "postgres", "ALTER ROLE "+app.name+" NOLOGIN")
	if !versiondb.TakesPassword(t.Context(), config) {
		t.Error("who may not log in is taken for one with another password")
	}
	if err := versiondb.EnsureRole(t.Context(), o.onSource(t), role); err != nil {
		t.Fatal(err)
	}
	app.connect(t, "postgres")
}

func TestRightsWithinADatabaseArePutBack(t *testing.T) {
	o := newOperator(t, server, server)
	v, owner, app := o.build(t)
	conn := owner.connect(t, v.Names.Database)
	restore := func() {
		t.Helper()
		if err := o.at(t).RestoreInside(t.Context(), conn, v.Names); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []string{owner.name, app.name} {
		server.Exec(t, v.Names.Database, "REVOKE ALL ON SCHEMA public FROM "+role)

		restore()

		execute(t, conn, "CREATE TABLE IF NOT EXISTS made (id int)")
		if read(t, conn, "SELECT has_schema_privilege($1, 'public', 'USAGE')::text", app.name) != "true" {
			t.Errorf("the app role may not use the tables after %s lost its rights", role)
		}
	}
	before := read(t, conn, "SELECT xmin::text FROM pg_namespace WHERE nspname = 'public'")
	restore()
	if read(t, conn, "SELECT xmin::text FROM pg_namespace WHERE nspname = 'public'") != before {
		t.Error("rights that are all there are given again")
	}
}
