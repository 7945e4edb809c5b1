package versiondb_test

import (
	"testing"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

func TestEnsureConvergesAfterACrashAnywhere(t *testing.T) {
	o := newOperator(t, server, server)
	killedAnywhere(t, func(t *testing.T) step {
		v := newVersion(t)
		owner, app := o.ensureRoles(t, v)
		do := func(t *testing.T, w *wire) error {
			at := versiondb.Server{Config: w.over(o.at(t).Config)}
			return at.Ensure(t.Context(), w.connect(t, at.Config), v)
		}
		return step{do, func(t *testing.T) {
			conn := o.onDatabases(t)
			if found, err := versiondb.Find(t.Context(), conn, v.Names.Database); err != nil || found.Exists && found.Stamp != v.Stamp {
				t.Errorf("between the two: %+v, %v; want nothing or the stamped database", found, err)
			}
			if err := o.at(t).Ensure(t.Context(), conn, v); err != nil {
				t.Errorf("the retry fails: %v", err)
				return
			}
			nothingBeside(t, v)
			ownerSide := owner.connect(t, v.Names.Database)
			execute(t, ownerSide, "CREATE TABLE made ()")
			refused(t, app.connect(t, v.Names.Database), "CREATE TEMP TABLE made ()")
			if read(t, conn, "SELECT has_database_privilege('public', $1, 'CONNECT')::text", v.Names.Database) != "false" {
				t.Error("everybody may connect")
			}
		}}
	})
}

func TestRetireConvergesAfterACrashAnywhere(t *testing.T) {
	o := newOperator(t, server, server)
	killedAnywhere(t, func(t *testing.T) step {
		v, _, app := o.build(t)
		app.connect(t, v.Names.Database) // a session that does not go by itself
		do := func(t *testing.T, w *wire) error {
			at := versiondb.Server{Config: w.over(o.at(t).Config)}
			return at.Retire(t.Context(), w.connect(t, at.Config), v)
		}
		return step{do, func(t *testing.T) {
			if err := o.at(t).Retire(t.Context(), o.onDatabases(t), v); err != nil {
				t.Errorf("the retry fails: %v", err)
			}
			gone(t, v)
		}}
	})
}

func TestRolesConvergeAfterACrashAnywhere(t *testing.T) {
	o := newOperator(t, server, server)
	killedAnywhere(t, func(t *testing.T) step {
		v := newVersion(t)
		app := account{server, v.Names.App, versiondb.NewPassword()}
		role := o.role(app.name, app.password, v.Stamp)
		do := func(t *testing.T, w *wire) error {
			return versiondb.EnsureRole(t.Context(), w.connect(t, o.at(t).Config), role)
		}
		return step{do, func(t *testing.T) {
			if err := versiondb.EnsureRole(t.Context(), o.onDatabases(t), role); err != nil {
				t.Errorf("the retry fails: %v", err)
				return
			}
			app.connect(t, "postgres")
			if ended, err := versiondb.EndSessions(t.Context(), o.onSource(t), app.name); err != nil || ended != 1 {
				t.Errorf("the other account ended %d sessions, %v", ended, err)
			}
		}}
	})
}

func TestDroppingARoleConvergesAfterACrashAnywhere(t *testing.T) {
	o := newOperator(t, server, server)
	killedAnywhere(t, func(t *testing.T) step {
		v := newVersion(t)
		_, app := o.ensureRoles(t, v)
		do := func(t *testing.T, w *wire) error {
			_, err := versiondb.DropRole(t.Context(), w.connect(t, o.at(t).Config), app.name, v.Stamp)
			return err
		}
		return step{do, func(t *testing.T) {
			gone, err := versiondb.DropRole(t.Context(), o.onDatabases(t), app.name, v.Stamp)
			if err != nil || !gone {
				t.Errorf("the retry: %v, %v", gone, err)
			}
			if read(t, o.onSource(t), "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", app.name) != "0" {
				t.Error("the role is still there")
			}
		}}
	})
}
