package versiondb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// login gives the app role of a version a login for another password.
func (o operator) login(t *testing.T, app account, stamp versiondb.Stamp) account {
	t.Helper()
	login := account{server: app.server, password: versiondb.NewPassword()}
	login.name = versiondb.LoginOf(app.name, login.password)
	role := o.role(login.name, login.password, stamp)
	role.ActsAs = app.name
	for _, conn := range []*pgx.Conn{o.onSource(t), o.onDatabases(t)} {
		if err := versiondb.EnsureRole(t.Context(), conn, role); err != nil {
			t.Fatal(err)
		}
	}
	before := roleState(t, server, login.name)
	if err := versiondb.EnsureRole(t.Context(), o.onSource(t), role); err != nil {
		t.Fatal(err)
	}
	if after := roleState(t, server, login.name); after != before {
		t.Errorf("a login that was right was written:\n%s\n%s", before, after)
	}
	return login
}

func TestALoginIsItsRoleAsSoonAsItConnects(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, app := o.build(t)
	login := o.login(t, app, v.Stamp)

	for _, a := range []account{app, login} {
		conn := a.connect(t, v.Names.Database)
		if is := read(t, conn, "SELECT current_user::text"); is != app.name {
			t.Errorf("%s is %s", a.name, is)
		}
		if got := read(t, conn, "SELECT current_setting('lock_timeout')"); got != "1min" {
			t.Errorf("%s has a lock_timeout of %s", a.name, got)
		}
		execute(t, conn, "DISCARD ALL")
		if is := read(t, conn, "SELECT current_user::text AS still"); is != app.name {
			t.Errorf("%s is %s after DISCARD ALL", a.name, is)
		}
		refused(t, conn, "CREATE TABLE sneaky ()")
	}
}

func TestARoleKeepsItsPasswordWhenNoneIsGiven(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	if err := versiondb.EnsureRole(t.Context(), o.onSource(t), o.role(app.name, "", v.Stamp)); err != nil {
		t.Fatal(err)
	}
	app.connect(t, "postgres")
}

func TestOnlyTheCurrentLoginIsLeft(t *testing.T) {
	o := newOperator(t, server, server)
	v, _, app := o.build(t)
	first, second := o.login(t, app, v.Stamp), o.login(t, app, v.Stamp)
	stranger := newAccount(t, server, "stranger", "")
	server.Exec(t, "postgres", `GRANT `+app.name+` TO "`+stranger.name+`"`, `ALTER ROLE "`+stranger.name+`" SET role = `+app.name)
	open := first.connect(t, v.Names.Database)
	source := o.onSource(t)
	spares, err := versiondb.Spares(t.Context(), source, app.name, second.name, v.Stamp)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(spares); !slices.Equal(spares, slices.Sorted(slices.Values([]string{app.name, first.name}))) {
		t.Fatalf("the spares are %v", spares)
	}

	for range 2 {
		if err := versiondb.CloseSpares(t.Context(), source, app.name, second.name, v.Stamp); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := open.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session of a login that is gone goes on")
	}
	cannotLogIn(t, app)
	second.connect(t, v.Names.Database)
	if logins, err := versiondb.Logins(t.Context(), source, app.name); err != nil || !slices.Contains(logins, second.name) || slices.Contains(logins, first.name) || !slices.Contains(logins, stranger.name) {
		t.Errorf("the logins are %v, %v", logins, err)
	}
	if spares, err := versiondb.Spares(t.Context(), source, app.name, second.name, v.Stamp); err != nil || len(spares) > 0 {
		t.Errorf("the spares are %v, %v", spares, err)
	}
}

func TestALoginGoesWithItsRole(t *testing.T) {
	o, v := newOperator(t, server, server), newVersion(t)
	_, app := o.ensureRoles(t, v)
	login := o.login(t, app, v.Stamp)
	open := login.connect(t, "postgres")
	if ended, err := versiondb.EndSessions(t.Context(), o.onSource(t), app.name); err != nil || ended != 1 {
		t.Errorf("ended %d sessions of a login, %v", ended, err)
	}
	if _, err := open.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session goes on")
	}

	gone, err := versiondb.DropRole(t.Context(), o.onSource(t), app.name, v.Stamp)

	if err != nil || !gone {
		t.Fatal(gone, err)
	}
	if left := read(t, o.onSource(t), "SELECT count(*)::text FROM pg_roles WHERE rolname IN ($1, $2)", app.name, login.name); left != "0" {
		t.Errorf("%s roles are left", left)
	}
}

func TestALoginHasANameOfItsOwn(t *testing.T) {
	longest := strings.Repeat("v", 57)
	for _, database := range []string{"nawhas_v3_1_2", longest} {
		login := versiondb.LoginOf(database+"_app", "one")
		if len(login) > 63 || login == database+"_app" || login == database+"_owner" || login == versiondb.LoginOf(database+"_app", "another") {
			t.Errorf("a login of %s is called %s", database, login)
		}
	}
}
