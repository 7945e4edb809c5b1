package release

import (
	"context"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// hasSpares reports whether a version's pods could also log in by a password
// that was replaced.
func (s *scope) hasSpares(ctx context.Context, v *ledger.Version, app *credentials) (bool, error) {
	onSource, err := versiondb.Spares(ctx, s.sourcePool, app.role, app.login, s.stamp(v))
	if err != nil {
		return false, s.onSource(err)
	}
	onDatabases, err := versiondb.Spares(ctx, s.databasesPool, app.role, app.login, s.stamp(v))
	if err != nil {
		return false, s.onDatabases(err)
	}
	return len(onSource)+len(onDatabases) > 0, nil
}

// closeSpares ends the passwords of a version's pods that were replaced, once no
// pod is left that knows another than the present one.
func (r *Reconciler) closeSpares(ctx context.Context, s *scope, v *ledger.Version) error {
	known := r.equipment(s, v)
	if !known.spare {
		return nil
	}
	app, err := r.loadCredentials(ctx, s, v, appSide)
	if err != nil {
		return err
	}
	if !s.knowOnly(v, app.digest()) {
		return nil
	}
	err = s.guarded(ctx, func() error {
		if err := versiondb.CloseSpares(ctx, s.sourcePool, app.role, app.login, s.stamp(v)); err != nil {
			return s.onSource(err)
		}
		if err := versiondb.CloseSpares(ctx, s.databasesPool, app.role, app.login, s.stamp(v)); err != nil {
			return s.onDatabases(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	known.spare = false
	r.equipped.Store(s.key()+" "+v.Version, known)
	return nil
}

// knowOnly reports whether all pods of a version's workloads, and those that
// will be made, have the credentials of a digest.
func (s *scope) knowOnly(v *ledger.Version, digest string) bool {
	for i := range s.deployments {
		d := &s.deployments[i]
		if isWorkloadOf(d.Labels, v) && (d.Spec.Template.Annotations[v1alpha1.AnnotationCredentials] != digest || d.Status.ObservedGeneration < d.Generation) {
			return false
		}
	}
	for i := range s.pods {
		pod := &s.pods[i]
		if isWorkloadOf(pod.Labels, v) && !ended(pod) && pod.Annotations[v1alpha1.AnnotationCredentials] != digest {
			return false
		}
	}
	return true
}
