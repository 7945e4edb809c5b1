package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// decideRetirement records which versions are to be removed.
func (r *Reconciler) decideRetirement(ctx context.Context, s *scope) error {
	spec := s.release.Spec
	if spec.Suspend {
		return nil
	}
	wanted, window := []string{spec.Version, s.choice.version}, keepingOf(&spec).window
	unwanted := retirable(s.versions, wanted, int(ptr.Deref(spec.Retention.Versions, 2)), window, s.now)
	if spec.Retention.MaxAge != nil {
		unwanted = append(unwanted, expired(s.versions, slices.Concat(wanted, versionsOf(unwanted)), max(window, spec.Retention.MaxAge.Duration), s.now)...)
	}
	for _, v := range unwanted {
		if err := s.ledger.Retire(ctx, v); err != nil {
			return err
		}
		r.event(s, eventNormal, "Retiring", fmt.Sprintf("version %s is no longer wanted; removing database %s", v.Version, v.Database))
	}
	if len(unwanted) == 0 {
		return nil
	}
	return s.reload(ctx)
}

// retirable are the versions that nobody needs: candidates that are no longer
// wanted, and warm versions beyond the retention whose window is over. Versions
// are given the newest first.
func retirable(versions []*ledger.Version, wanted []string, retention int, window time.Duration, now time.Time) []*ledger.Version {
	var unwanted []*ledger.Version
	kept := 0
	for _, v := range versions {
		switch {
		case v.Role == ledger.Retiring:
		case v.Role == ledger.Live || slices.Contains(wanted, v.Version):
			kept++
		case v.Role == ledger.Candidate:
			unwanted = append(unwanted, v)
		}
	}
	for _, v := range versions {
		if v.Role != ledger.Warm || slices.Contains(wanted, v.Version) {
			continue
		}
		inWindow := v.WarmSince == nil || now.Sub(*v.WarmSince) < window
		if kept < retention || inWindow {
			kept++
			continue
		}
		unwanted = append(unwanted, v)
	}
	return unwanted
}

// expired are the warm versions that were last live too long ago, but for those
// that are spared.
func expired(versions []*ledger.Version, spared []string, maxAge time.Duration, now time.Time) []*ledger.Version {
	var old []*ledger.Version
	for _, v := range versions {
		if v.Role == ledger.Warm && v.WarmSince != nil && now.Sub(*v.WarmSince) >= maxAge && !slices.Contains(spared, v.Version) {
			old = append(old, v)
		}
	}
	return old
}

func versionsOf(versions []*ledger.Version) []string {
	var names []string
	for _, v := range versions {
		names = append(names, v.Version)
	}
	return names
}

// retire removes what a version has: first what runs, then its rights, then
// its database and roles, last its entry in the ledger. It is called again
// until nothing is left.
func (r *Reconciler) retire(ctx context.Context, s *scope, v *ledger.Version) error {
	gone, err := r.removeObjects(ctx, s, v)
	if err != nil || !gone {
		return err
	}
	if err := s.guarded(ctx, func() error { return r.removeFromServers(ctx, s, v) }); err != nil {
		return err
	}
	if err := s.ledger.Retired(ctx, v); err != nil {
		return err
	}
	r.equipped.Delete(s.key() + " " + v.Version)
	r.event(s, eventNormal, "Retired", fmt.Sprintf("version %s and its database %s are removed", v.Version, v.Database))
	return s.reload(ctx)
}

// removeFromServers drops the database, then the roles: a role stays while it
// owns anything.
func (r *Reconciler) removeFromServers(ctx context.Context, s *scope, v *ledger.Version) error {
	stamp := s.stamp(v)
	if _, err := versiondb.EndSessions(ctx, s.sourcePool, v.AppRole); err != nil {
		return s.onSource(err)
	}
	if err := s.forbidComparing(ctx, v); err != nil {
		return err
	}
	names := versiondb.Names{Database: v.Database, Owner: v.OwnerRole, App: v.AppRole}
	server := versiondb.Server{Config: s.databases.config}
	if err := server.Retire(ctx, s.databasesPool, versiondb.Database{Names: names, Stamp: stamp}); err != nil {
		return s.onDatabases(err)
	}
	if v.LastRound() != nil {
		if err := s.dropWindow(ctx, v); err != nil {
			return err
		}
	}
	for _, role := range []string{v.AppRole, v.OwnerRole} {
		if err := dropRole(ctx, s, role, stamp); err != nil {
			return err
		}
	}
	return nil
}

// dropRole drops a role on both servers, which may be one.
func dropRole(ctx context.Context, s *scope, role string, stamp versiondb.Stamp) error {
	if err := dropRoleOn(ctx, s.sourcePool, role, stamp); err != nil {
		return s.onSource(err)
	}
	if err := dropRoleOn(ctx, s.databasesPool, role, stamp); err != nil {
		return s.onDatabases(err)
	}
	return nil
}

func dropRoleOn(ctx context.Context, pool *pgxpool.Pool, role string, stamp versiondb.Stamp) error {
	gone, err := versiondb.DropRole(ctx, pool, role, stamp)
	if err == nil && !gone {
		return fmt.Errorf("role %s still owns objects or has rights in another database of that server; as an administrator run DROP OWNED BY %[1]s there", role)
	}
	return err
}

// removeObjects deletes what the version has in the cluster, and reports
// whether its pods are gone. Secrets and the frozen plan go last.
func (r *Reconciler) removeObjects(ctx context.Context, s *scope, v *ledger.Version) (gone bool, err error) {
	for i := range s.deployments {
		if s.deployments[i].Labels[v1alpha1.LabelVersion] == v.Version {
			if err := r.remove(ctx, &s.deployments[i]); err != nil {
				return false, err
			}
		}
	}
	for i := range s.jobs {
		if s.jobs[i].Labels[v1alpha1.LabelVersion] == v.Version {
			if err := r.remove(ctx, &s.jobs[i]); err != nil {
				return false, err
			}
		}
	}
	if err := r.removeAutoscaler(ctx, s, v, ""); err != nil {
		return false, err
	}
	if err := r.removeBudget(ctx, s, v, ""); err != nil {
		return false, err
	}
	for i := range s.pods {
		if s.pods[i].Labels[v1alpha1.LabelVersion] == v.Version {
			return false, nil
		}
	}
	return true, r.removeRecords(ctx, s, v)
}

func (r *Reconciler) removeRecords(ctx context.Context, s *scope, v *ledger.Version) error {
	own := []client.ListOption{client.InNamespace(s.release.Namespace), client.MatchingLabels(labelsOf(s, v))}
	var secrets corev1.SecretList
	if err := r.Client.List(ctx, &secrets, own...); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	for i := range secrets.Items {
		if err := r.remove(ctx, &secrets.Items[i]); err != nil {
			return err
		}
	}
	if v.Version == s.release.Spec.Version {
		return nil
	}
	var plans appsv1.ControllerRevisionList
	if err := r.Client.List(ctx, &plans, own...); err != nil {
		return fmt.Errorf("list ControllerRevisions: %w", err)
	}
	for i := range plans.Items {
		if err := r.remove(ctx, &plans.Items[i]); err != nil {
			return err
		}
	}
	return nil
}
