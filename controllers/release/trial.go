package release

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// tryOut has the API server say what it would refuse of a version's workloads
// and Services. The definition cannot know all of that, and at the switch, hours
// later, it would be too late. Nothing is made: no read may wait for it, and a
// node port that is taken or out of range is not found, because those are given
// out when a Service is made.
func (r *Reconciler) tryOut(ctx context.Context, s *scope, v *ledger.Version) error {
	p, c, err := r.planAndCredentials(ctx, s, v, appSide)
	if err != nil {
		return err
	}
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		deployment := renderWorkload(s, v, p, c, workload, 0)
		objects := []client.Object{deployment}
		if workload.Autoscaling != nil {
			objects = append(objects, renderAutoscaler(s, workload.Autoscaling, deployment.Name, deployment.Labels))
		}
		if workload.DisruptionBudget != nil {
			objects = append(objects, renderBudget(s, workload.DisruptionBudget, deployment.Name, deployment.Labels))
		}
		for _, object := range objects {
			if err := r.apply(ctx, s, object, client.DryRunAll, client.DisableReadYourWritesConsistency); err != nil {
				return fmt.Errorf("try workload %s: %w", workload.Name, err)
			}
		}
		if workload.Service == nil {
			continue
		}
		if err := r.tryService(ctx, renderService(s, v, workload, "")); err != nil {
			return fmt.Errorf("try the Service of workload %s: %w", workload.Name, err)
		}
	}
	return nil
}

// tryService is what [Reconciler.convergeService] would do.
func (r *Reconciler) tryService(ctx context.Context, wanted *corev1.Service) error {
	existing := &corev1.Service{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(wanted), existing)
	if apierrors.IsNotFound(err) {
		return r.Client.Create(ctx, wanted, client.FieldOwner(FieldManager), client.DryRunAll, client.DisableReadYourWritesConsistency)
	}
	if err != nil {
		return err
	}
	changed := existing.DeepCopy()
	adjust(changed, wanted)
	if equality.Semantic.DeepEqual(existing, changed) {
		return nil
	}
	return r.Client.Patch(ctx, changed, client.MergeFrom(existing), client.FieldOwner(FieldManager), client.DryRunAll, client.DisableReadYourWritesConsistency)
}
