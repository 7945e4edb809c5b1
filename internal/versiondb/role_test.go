package versiondb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

func TestARoleLogsInWithItsPassword(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)

	conn := app.connect(t, "postgres")
	for setting, want := range map[string]string{"idle_in_transaction_session_timeout": "1min", "lock_timeout": "1min"} {
		if got := read(t, conn, "SELECT current_setting($1)", setting); got != want {
			t.Errorf("%s is %s; want %s", setting, got, want)
		}
	}
	refused(t, conn, "CREATE ROLE sneaky")
	refused(t, conn, "CREATE DATABASE sneaky")
	stored := read(t, superuser(t, server, "postgres"), "SELECT rolpassword FROM pg_authid WHERE rolname = $1", app.name)
	if !strings.HasPrefix(stored, "SCRAM-SHA-256$") {
		t.Error("the server keeps something else than a verifier")
	}

	app.password = "another"
	cannotLogIn(t, app)
}

func TestEnsureRoleWritesOnlyWhatDiffers(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	role := o.role(app.name, app.password, v.Stamp)

	before := roleState(t, server, app.name)
	for _, conn := range []*pgx.Conn{o.onSource(t), o.onDatabases(t)} {
		if err := versiondb.EnsureRole(t.Context(), conn, role); err != nil {
			t.Fatal(err)
		}
	}
	if after := roleState(t, server, app.name); after != before {
		t.Fatalf("a role that was right was written:\n%s\n%s", before, after)
	}
}

func TestEnsureRoleChangesThePassword(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	for _, conn := range []*pgx.Conn{o.onSource(t), o.onDatabases(t)} {
		old := app
		app.password = versiondb.NewPassword()
		if err := versiondb.EnsureRole(t.Context(), conn, o.role(app.name, app.password, v.Stamp)); err != nil {
			t.Fatal(err)
		}
		app.connect(t, "postgres")
		cannotLogIn(t, old)
	}
}

func TestAPasswordChangeAlsoBringsNewMembers(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	later := newAccount(t, server, "later", "CREATEROLE")
	role := o.role(app.name, versiondb.NewPassword(), v.Stamp)
	role.Members = append(role.Members, later.name)
	if err := versiondb.EnsureRole(t.Context(), o.onSource(t), role); err != nil {
		t.Fatal(err)
	}
	if read(t, o.onSource(t), "SELECT pg_has_role($1, $2, 'USAGE')::text", later.name, app.name) != "true" {
		t.Fatal("the new account cannot see the role's sessions")
	}
}

func TestANewBuildTakesItsRoleOver(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	rebuilt := v.Stamp
	rebuilt.Build = uuid.New()
	if err := versiondb.EnsureRole(t.Context(), o.onSource(t), o.role(app.name, app.password, rebuilt)); err != nil {
		t.Fatal(err)
	}
	if state := roleState(t, server, app.name); !strings.Contains(state, rebuilt.Build.String()) {
		t.Fatalf("the role does not carry the new build: %s", state)
	}
}

func TestForeignRolesAreLeftAlone(t *testing.T) {
	o := newOperator(t, server, server)
	for name, comment := range foreignComments(t) {
		t.Run(name, func(t *testing.T) {
			v := newVersion(t)
			server.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN", v.Names.App))
			if comment != "" {
				server.Exec(t, "postgres", fmt.Sprintf("COMMENT ON ROLE %s IS '%s'", v.Names.App, comment))
			}
			before := roleState(t, server, v.Names.App)

			err := versiondb.EnsureRole(t.Context(), o.onSource(t), o.role(v.Names.App, "secret", v.Stamp))
			foreign(t, err, "role", v.Names.App)
			gone, err := versiondb.DropRole(t.Context(), o.onSource(t), v.Names.App, v.Stamp)
			if err != nil || !gone {
				t.Errorf("a foreign role is in the way of a retirement: %v, %v", gone, err)
			}
			if after := roleState(t, server, v.Names.App); after != before {
				t.Fatalf("a foreign role was written:\n%s\n%s", before, after)
			}
		})
	}
}

func TestBothAccountsEndSessions(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	for _, conn := range []*pgx.Conn{o.onSource(t), o.onDatabases(t)} {
		session := app.connect(t, "postgres")
		if ended, err := versiondb.EndSessions(t.Context(), conn, app.name); err != nil || ended != 1 {
			t.Fatalf("ended %d sessions, %v; want 1", ended, err)
		}
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Fatal("the session goes on")
		}
	}
	if ended, err := versiondb.EndSessions(t.Context(), o.onSource(t), app.name); err != nil || ended != 0 {
		t.Fatalf("ended %d sessions, %v; want none", ended, err)
	}
}

func TestDropRoleWaitsForTheDatabase(t *testing.T) {
	o := newOperator(t, server, server)
	v, owner, _ := o.build(t)
	execute(t, owner.connect(t, v.Names.Database), "CREATE TABLE kept ()")
	source := o.onSource(t)
	execute(t, source, "CREATE TABLE log ()")
	execute(t, source, "GRANT SELECT ON log TO "+owner.name)

	if gone, err := versiondb.DropRole(t.Context(), source, owner.name, v.Stamp); err != nil || gone {
		t.Fatalf("got %v, %v; want false while a database depends on the role", gone, err)
	}
	if read(t, source, "SELECT has_table_privilege($1, 'log', 'SELECT')::text", owner.name) != "true" {
		t.Error("a role that stayed lost a right")
	}
	if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if gone, err := versiondb.DropRole(t.Context(), source, owner.name, v.Stamp); err != nil || !gone {
			t.Fatalf("got %v, %v; want the role gone", gone, err)
		}
	}
}

func TestAStaleBuildDropsNoRole(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	stale := v.Stamp
	stale.Build = uuid.New()
	if _, err := versiondb.DropRole(t.Context(), o.onSource(t), app.name, stale); err != nil {
		t.Fatal(err)
	}
	app.connect(t, "postgres")
}

func TestTwoServers(t *testing.T) {
	other, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	o := newOperator(t, server, other)
	v, owner, app := o.build(t)
	for _, s := range []*pgtest.Server{server, other} {
		account{s, owner.name, owner.password}.connect(t, "postgres")
		account{s, app.name, app.password}.connect(t, "postgres")
	}
	app.connect(t, v.Names.Database)

	if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []*pgx.Conn{o.onSource(t), o.onDatabases(t)} {
		for _, role := range []string{app.name, owner.name} {
			if gone, err := versiondb.DropRole(t.Context(), conn, role, v.Stamp); err != nil || !gone {
				t.Fatalf("drop %s: %v, %v", role, gone, err)
			}
		}
	}
}

func cannotLogIn(t *testing.T, a account) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), a.server.URLAs(a.name, a.password, "postgres"))
	if err == nil {
		_ = conn.Close(t.Context())
		t.Errorf("%s logs in with a wrong password", a.name)
	}
}

// foreignComments are comments that are not the stamp of newVersion's versions.
func foreignComments(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"unstamped": "", "commented": "keep me", "of another release": newVersion(t).Stamp.String()}
}
