package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// sizeManager owns the number of pods of a Deployment that an autoscaler
// scales: what [FieldManager] applies to it does not hold a number, and so
// neither undoes the autoscaler's nor resets it.
const sizeManager = "nawhas-operator-size"

// annotationSize is on a Deployment as long as what [FieldManager] applied to it
// holds no number of pods. Without it the number has to be handed over first: to
// leave it out of an apply would reset it.
const annotationSize = "releases.nawhas.com/size"

// size is how many pods a version's workload should have, and who decides it.
type size struct {
	replicas int32
	// scaled says that an autoscaler decides; replicas is where it begins.
	scaled bool
}

// sizeOf decides how many pods a workload has that runs. With autoscaling the
// live version's number is the autoscaler's; every other version has as many as
// the live one, so that it can take its place at once.
func sizeOf(workload *v1alpha1.Workload, role ledger.Role, live *appsv1.Deployment) size {
	if workload.Autoscaling == nil {
		return size{replicas: ptr.Deref(workload.Replicas, 1)}
	}
	least, most := ptr.Deref(workload.Autoscaling.MinReplicas, 1), workload.Autoscaling.MaxReplicas
	replicas := least
	if live != nil {
		replicas = min(max(ptr.Deref(live.Spec.Replicas, 1), least), most)
	}
	return size{replicas: replicas, scaled: role == ledger.Live}
}

// size applies sizeOf to a version of the release.
func (s *scope) size(v *ledger.Version, workload *v1alpha1.Workload) size {
	var serving *appsv1.Deployment
	if live := s.live(); live != nil {
		serving = s.deployment(live, workload.Name)
	}
	return sizeOf(workload, v.Role, serving)
}

// podsWanted is how many pods the version's workload should have now, as far as is
// known.
func (s *scope) podsWanted(v *ledger.Version, workload *v1alpha1.Workload) int32 {
	if d := s.deployment(v, workload.Name); workload.Autoscaling != nil && d != nil {
		return ptr.Deref(d.Spec.Replicas, 1)
	}
	return s.size(v, workload).replicas
}

// sized is a version's plan with the numbers of pods that autoscalers came to.
func (s *scope) sized(v *ledger.Version) *plan {
	sized := *s.plans[v.Version]
	sized.Workloads = slices.Clone(sized.Workloads)
	for i := range sized.Workloads {
		sized.Workloads[i].Replicas = ptr.To(s.podsWanted(v, &sized.Workloads[i]))
	}
	return &sized
}

// convergeScaled brings a Deployment to what it should be but for the number of
// its pods, which is the autoscaler's. It begins with the given one when the
// Deployment is new, or had none: an autoscaler does not wake what is at zero.
func (r *Reconciler) convergeScaled(ctx context.Context, s *scope, wanted *appsv1.Deployment, begin int32) error {
	existing := &appsv1.Deployment{}
	err := r.find(ctx, client.ObjectKeyFromObject(wanted), existing)
	switch {
	case apierrors.IsNotFound(err):
		// The next pass hands the number over.
		wanted.Spec.Replicas = &begin
		return r.converge(ctx, s, wanted, existing)
	case err != nil:
		return fmt.Errorf("read %s: %w", describe(wanted), err)
	case !s.owns(existing):
		return &foreignObjectError{kind: "Deployment", name: wanted.Name}
	}
	now := ptr.Deref(existing.Spec.Replicas, 1)
	if now == 0 || existing.Annotations[annotationSize] == "" {
		if now > 0 {
			begin = now
		}
		if err := r.resize(ctx, s, wanted, begin); err != nil {
			return err
		}
	}
	wanted.Spec.Replicas = nil
	wanted.Annotations = merged(wanted.Annotations, map[string]string{annotationSize: sizeManager})
	return r.converge(ctx, s, wanted, existing)
}

// wakeExclusive starts the exclusive workloads of a live version again that a switch
// stopped which then came to nothing. Nothing but their size is changed.
func (r *Reconciler) wakeExclusive(ctx context.Context, s *scope, v *ledger.Version) error {
	p, ok := s.plans[v.Version]
	if !ok {
		return planMissing(v)
	}
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		wanted := s.size(v, workload).replicas
		if !workload.Exclusive || !s.mayRun(v, workload) || wanted == 0 {
			continue
		}
		deployment, err := r.deploymentOf(ctx, s, v, workload)
		if err != nil {
			return err
		}
		if deployment == nil || ptr.Deref(deployment.Spec.Replicas, 1) > 0 {
			continue
		}
		if err := r.resize(ctx, s, deployment, wanted); err != nil {
			return err
		}
	}
	return nil
}

// deploymentOf is the Deployment of a version's workload as it is now, nil when
// there is none.
func (r *Reconciler) deploymentOf(ctx context.Context, s *scope, v *ledger.Version, workload *v1alpha1.Workload) (*appsv1.Deployment, error) {
	name := objectName(s.release.Name, workload.Name, v.Version)
	existing := &appsv1.Deployment{}
	err := r.find(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: name}, existing)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Deployment %s: %w", name, err)
	case !s.owns(existing):
		return nil, &foreignObjectError{kind: "Deployment", name: name}
	}
	existing.TypeMeta = deploymentType
	return existing, nil
}

// resize writes the number of pods, and nothing else, for sizeManager.
func (r *Reconciler) resize(ctx context.Context, s *scope, d *appsv1.Deployment, replicas int32) error {
	data, err := json.Marshal(map[string]any{
		"apiVersion": d.APIVersion, "kind": d.Kind,
		"metadata": map[string]any{"namespace": d.Namespace, "name": d.Name},
		"spec":     map[string]any{"replicas": replicas},
	})
	if err != nil {
		return fmt.Errorf("encode the size of %s: %w", describe(d), err)
	}
	err = r.Client.Patch(ctx, d.DeepCopy(), client.RawPatch(types.ApplyPatchType, data), client.FieldOwner(sizeManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("set the size of %s of release %s: %w", describe(d), s.release.Name, err)
	}
	return nil
}
