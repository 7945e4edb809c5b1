package release

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// databaseStage makes the version's roles, Secrets and empty database. It owns
// the condition DatabaseReady.
type databaseStage struct{ *Reconciler }

func (databaseStage) condition() string { return v1alpha1.ConditionDatabaseReady }

func (st databaseStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	if p := s.plans[s.choice.version]; p != nil && (s.target == nil || s.target.Role != ledger.Live) {
		if err := st.checkServices(ctx, s, p); err != nil {
			return outcome{}, err
		}
	}
	if s.target == nil && s.release.Spec.DryRun {
		return st.plan(ctx, s)
	}
	if s.target == nil {
		if err := st.begin(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	if diverged(s.target) && s.target.Role == ledger.Candidate {
		return st.rebuild(ctx, s)
	}
	if s.target.Role == ledger.Candidate && roundFailed(s.target) {
		return st.rebuildRounds(ctx, s, s.target)
	}
	if s.target.Role == ledger.Retiring {
		return waiting(v1alpha1.ReasonCreatingDatabase, fmt.Sprintf("version %s is still being removed; it is built anew afterwards", s.target.Version), pollFast), nil
	}
	if s.target.Passed(v1alpha1.ConditionDatabaseReady) && !s.existing[s.target.Database] {
		return st.lost(s), nil
	}
	if err := st.equip(ctx, s, s.target); err != nil {
		return outcome{}, err
	}
	if !s.target.Passed(v1alpha1.ConditionDatabaseReady) {
		if err := st.tryOut(ctx, s, s.target); err != nil {
			return outcome{}, err
		}
		if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionDatabaseReady, map[string]string{"database": s.target.Database}); err != nil {
			return outcome{}, err
		}
		if err := s.reload(ctx); err != nil {
			return outcome{}, err
		}
	}
	return passed(fmt.Sprintf("database %s with roles %s and %s", s.target.Database, s.target.OwnerRole, s.target.AppRole)), nil
}

// begin records the intent, before anything is made.
func (st databaseStage) begin(ctx context.Context, s *scope) error {
	names, err := versiondb.NamesOf(s.release.Spec.Databases.Prefix, s.release.Spec.Version)
	if err != nil {
		return err
	}
	intent := &ledger.Version{Release: s.key(), Version: s.release.Spec.Version, Build: uuid.New(),
		Database: names.Database, OwnerRole: names.Owner, AppRole: names.App}
	if err := s.ledger.Begin(ctx, intent); err != nil {
		return err
	}
	if err := s.ledger.StartStage(ctx, intent, v1alpha1.ConditionDatabaseReady); err != nil {
		return err
	}
	return s.reload(ctx)
}

// rebuild gives up a candidate that was built from another log than the one
// there is. Nobody uses it; it is built anew.
func (st databaseStage) rebuild(ctx context.Context, s *scope) (outcome, error) {
	message := fmt.Sprintf("the log changed while version %s was built: %s; it is built anew", s.target.Version, problemOf(s.target))
	if err := s.ledger.Retire(ctx, s.target); err != nil {
		return outcome{}, err
	}
	st.event(s, eventWarning, v1alpha1.ReasonDiverged, message)
	return waiting(v1alpha1.ReasonCreatingDatabase, message, pollFast), s.reload(ctx)
}

// lost is what to say when a database that was built is no longer there. A
// candidate is built anew; a live one is somebody's to decide.
func (st databaseStage) lost(s *scope) outcome {
	message := fmt.Sprintf("database %s, which was built for version %s, no longer exists at %s", s.target.Database, s.target.Version, s.databases.address())
	return blocked(v1alpha1.ReasonDatabaseError, message+"; restore it, or release another version", pollSlow)
}

// equip makes sure of the Secrets, the roles with their passwords and rights,
// and the database. It asks the servers only when something of it is new, or may
// have been changed there unseen, and makes no database again that was lost.
func (st databaseStage) equip(ctx context.Context, s *scope, v *ledger.Version) error {
	owner, err := st.loadCredentials(ctx, s, v, ownerSide)
	if err != nil {
		return err
	}
	app, err := st.loadCredentials(ctx, s, v, appSide)
	if err != nil {
		return err
	}
	for _, c := range []*credentials{owner, app} {
		if err := st.applyCredentials(ctx, s, v, c); err != nil {
			return err
		}
	}
	made := fmt.Sprint(s.release.Generation, v.Build, owner.digest(), app.digest(), s.connectionLimit(), describeLog(s.log.Table()), s.plans[v.Version].inRounds(), st.pollers.drifts.count(client.ObjectKeyFromObject(s.release)))
	lost := v.Passed(v1alpha1.ConditionDatabaseReady) && !s.existing[v.Database]
	if known := st.equipment(s, v); lost || known.made == made && !s.isDue(v, known.at, st.settings.Recheck) {
		return nil
	}
	spare := false
	err = s.guarded(ctx, func() error {
		if err := st.equipServers(ctx, s, v, owner, app); err != nil {
			return err
		}
		spare, err = s.hasSpares(ctx, v, app)
		return err
	})
	if err != nil {
		return err
	}
	st.equipped.Store(s.key()+" "+v.Version, equipment{made: made, at: s.now, spare: spare})
	return nil
}

// equipment is what was made sure of for a version in this process' life.
type equipment struct {
	// made is a digest of it, and at the time.
	made string
	at   time.Time
	// spare says that its pods could also log in by a password that was replaced.
	spare bool
}

func (r *Reconciler) equipment(s *scope, v *ledger.Version) equipment {
	known, _ := r.equipped.Load(s.key() + " " + v.Version)
	found, _ := known.(equipment)
	return found
}

func (st databaseStage) equipServers(ctx context.Context, s *scope, v *ledger.Version, owner, app *credentials) error {
	if err := st.ensureRoles(ctx, s, v, owner, app); err != nil {
		return err
	}
	names := versiondb.Names{Database: v.Database, Owner: v.OwnerRole, App: v.AppRole}
	if err := s.databasesServer().Ensure(ctx, s.databasesPool, versiondb.Database{Names: names, Stamp: s.stamp(v)}); err != nil {
		return s.onDatabases(err)
	}
	return st.allowReading(ctx, s, s.plans[v.Version], names, owner)
}

func (st databaseStage) ensureRoles(ctx context.Context, s *scope, v *ledger.Version, sides ...*credentials) error {
	for _, c := range sides {
		role := versiondb.Role{Name: c.role, Stamp: s.stamp(v), Members: s.operators(), ConnectionLimit: s.connectionLimit()}
		if c.login == c.role {
			role.Password = c.password
		}
		if err := s.ensureRole(ctx, role); err != nil {
			return err
		}
		if c.login != c.role {
			role.Name, role.Password, role.ActsAs = c.login, c.password, c.role
			if err := s.ensureRole(ctx, role); err != nil {
				return err
			}
		}
		if err := s.keepPassword(ctx, role); err != nil {
			return err
		}
		if c.role == v.OwnerRole && s.plans[v.Version].inRounds() {
			if err := s.log.ForbidReading(ctx, s.sourcePool, c.role); err != nil {
				return s.onSource(err)
			}
			continue // it is shown windows, and no log
		}
		if err := s.log.AllowReading(ctx, s.sourcePool, c.role); err != nil {
			return s.onSource(err)
		}
	}
	if v.Role == ledger.Live && s.canAppend(v) {
		// What an append is may be described otherwise by now. Of a version that
		// makes way it is not known here whether its right was taken in this pass.
		if err := s.allowAppending(ctx, v); err != nil {
			return err
		}
	}
	return s.ledger.AllowReporting(ctx, v.OwnerRole)
}

// ensureRole makes sure of a role on both servers.
func (s *scope) ensureRole(ctx context.Context, role versiondb.Role) error {
	if err := versiondb.EnsureRole(ctx, s.sourcePool, role); err != nil {
		return s.onSource(err)
	}
	if err := versiondb.EnsureRole(ctx, s.databasesPool, role); err != nil {
		return s.onDatabases(err)
	}
	return nil
}

// allowReading lets the app role read what the owner-side role makes, and write
// it where the application projects its own events.
func (st databaseStage) allowReading(ctx context.Context, s *scope, p *plan, names versiondb.Names, owner *credentials) error {
	conn, err := pgx.ConnectConfig(ctx, s.databases.as(owner.role, owner.password, names.Database))
	if err != nil {
		return s.onDatabases(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := s.databasesServer().RestoreInside(ctx, conn, names); err != nil {
		return s.onDatabases(err)
	}
	if err := versiondb.GrantReading(ctx, conn, names); err != nil {
		return err
	}
	return grantWriting(ctx, conn, p, names)
}

// connectionLimit is how many sessions each role of a version may have, 0 for
// any number.
func (s *scope) connectionLimit() int32 {
	return ptr.Deref(s.release.Spec.Databases.ConnectionLimit, 0)
}

func (s *scope) stamp(v *ledger.Version) versiondb.Stamp {
	return versiondb.Stamp{Installation: s.ledger.Installation(), Release: v.Release, Version: v.Version, Build: v.Build}
}
