package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const followerName = "follower"

var deploymentType = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}

// followerDeadline is how long the follower of an ending pod may take to
// commit its last batch.
const followerDeadline = 30

// ensureFollower keeps a version's database current, or lets go of it.
func (r *Reconciler) ensureFollower(ctx context.Context, s *scope, v *ledger.Version, follow bool) error {
	p, c, err := r.planAndCredentials(ctx, s, v, ownerSide)
	if err != nil {
		return err
	}
	labels := merged(labelsOf(s, v), map[string]string{v1alpha1.LabelStage: followerName})
	template := stepTemplate(p, p.Replay.Follow.Command, p.Replay.Follow.Resources)
	template.Spec.TerminationGracePeriodSeconds = ptr.To(int64(followerDeadline))
	equip(&template, s, v, p, c, labels)
	container := &template.Spec.Containers[0]
	if v.Image != "" {
		container.Image = v.Image
	}
	container.Env = append(container.Env, skipping(p)...)
	if s.skipsUnknown(v) {
		container.Env = append(container.Env, corev1.EnvVar{Name: unknownEventsVariable, Value: string(v1alpha1.UnknownEventsSkip)})
	}
	replicas := int32(0)
	if follow {
		replicas = 1
	}
	deployment := &appsv1.Deployment{
		TypeMeta:   deploymentType,
		ObjectMeta: s.objectMeta(objectName(s.release.Name, followerName, v.Version), labels),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(replicas),
			Selector: selector(labels),
			Template: template,
			// One applier at a time: the next pod starts when the last one is gone.
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		},
	}
	return r.convergeDeployment(ctx, s, deployment)
}

// skipsUnknown reports whether a version's follower passes over events that its
// edition does not know: the release allows it, and a newer version has been
// live and may have written them.
func (s *scope) skipsUnknown(v *ledger.Version) bool {
	return s.release.Spec.Rollback.UnknownEvents == v1alpha1.UnknownEventsSkip && v.LiveSince != nil && s.succeeded(v)
}

// ensureWorkloads brings a version's pods to what they should be.
func (r *Reconciler) ensureWorkloads(ctx context.Context, s *scope, v *ledger.Version, run bool) error {
	p, c, err := r.planAndCredentials(ctx, s, v, appSide)
	if err != nil {
		return err
	}
	// What is wrong with one of them keeps no other from running.
	var problems []error
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		problems = append(problems, r.ensureWorkload(ctx, s, v, p, c, workload, run && s.mayRun(v, workload)))
	}
	return errors.Join(append(problems, r.removeFormerWorkloads(ctx, s, v, p))...)
}

// removeFormerWorkloads takes away the pods of workloads that a version's plan
// had before it was corrected.
func (r *Reconciler) removeFormerWorkloads(ctx context.Context, s *scope, v *ledger.Version, p *plan) error {
	for i := range s.deployments {
		d := &s.deployments[i]
		name := d.Labels[v1alpha1.LabelWorkload]
		if !isWorkloadOf(d.Labels, v) || p.has(name) || !d.DeletionTimestamp.IsZero() || !s.owns(d) {
			continue
		}
		if err := r.removeAutoscaler(ctx, s, v, name); err != nil {
			return err
		}
		if err := r.removeBudget(ctx, s, v, name); err != nil {
			return err
		}
		if err := r.remove(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) ensureWorkload(ctx context.Context, s *scope, v *ledger.Version, p *plan, c *credentials, workload *v1alpha1.Workload, runs bool) error {
	wanted := s.size(v, workload)
	if !runs {
		wanted = size{}
	}
	deployment := renderWorkload(s, v, p, c, workload, wanted.replicas)
	converge := r.convergeDeployment
	if wanted.scaled {
		converge = func(ctx context.Context, s *scope, d *appsv1.Deployment) error {
			return r.convergeScaled(ctx, s, d, wanted.replicas)
		}
	}
	if err := converge(ctx, s, deployment); err != nil {
		return err
	}
	return r.ensureCompanions(ctx, s, v, workload, runs)
}

func renderWorkload(s *scope, v *ledger.Version, p *plan, c *credentials, workload *v1alpha1.Workload, replicas int32) *appsv1.Deployment {
	labels := merged(labelsOf(s, v), map[string]string{v1alpha1.LabelWorkload: workload.Name})
	template := *workload.Template.DeepCopy()
	equip(&template, s, v, p, c, labels)
	template.Annotations[v1alpha1.AnnotationDrained] = s.drainsOf(v, workload)
	return &appsv1.Deployment{
		TypeMeta:   deploymentType,
		ObjectMeta: s.objectMeta(objectName(s.release.Name, workload.Name, v.Version), labels),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(replicas), Selector: selector(labels), Template: template,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: pace(v, s.live())},
		},
	}
}

// drainsOf counts how often a version's pods were replaced because another one
// had taken over. It goes up when clients are led to that other version, not
// before: pods made earlier would get traffic and pass for drained.
func (s *scope) drainsOf(v *ledger.Version, workload *v1alpha1.Workload) string {
	live, d := s.live(), s.deployment(v, workload.Name)
	if live != nil && live != v && !live.Passed(v1alpha1.ConditionSwitched) && d != nil {
		return firstOf(d.Spec.Template.Annotations[v1alpha1.AnnotationDrained], "0")
	}
	return strconv.Itoa(int(v.Drains))
}

// pace is how pods are replaced: one after the other while they serve, and all
// at once when another version has taken over, so that clients which hold
// connections to them let go at once. Until the nodes know of that, the version
// before still serves.
func pace(v, live *ledger.Version) *appsv1.RollingUpdateDeployment {
	if v == live || v.Role == ledger.Warm && live != nil && !live.Passed(v1alpha1.ConditionSwitched) {
		return &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromInt32(0)), MaxSurge: ptr.To(intstr.FromString("25%"))}
	}
	return &appsv1.RollingUpdateDeployment{MaxUnavailable: ptr.To(intstr.FromString("100%")), MaxSurge: ptr.To(intstr.FromInt32(0))}
}

func (r *Reconciler) convergeDeployment(ctx context.Context, s *scope, deployment *appsv1.Deployment) error {
	return r.converge(ctx, s, deployment, &appsv1.Deployment{})
}

// planAndCredentials are what a version runs, and what one side of it connects with.
func (r *Reconciler) planAndCredentials(ctx context.Context, s *scope, v *ledger.Version, side string) (*plan, *credentials, error) {
	p, ok := s.plans[v.Version]
	if !ok {
		return nil, nil, planMissing(v)
	}
	c, err := r.loadCredentials(ctx, s, v, side)
	return p, c, err
}

func planMissing(v *ledger.Version) error {
	return fmt.Errorf("the ControllerRevision of version %s is gone; set spec.version to it once, so that it is frozen again", v.Version)
}

// ended reports whether nothing of a pod runs any more.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// workloadsReady judges the pods of a version's workloads that run before it
// is live: all there, or what keeps them. Those of another template than this
// pass would give them do not count: they are about to be replaced.
func (r *Reconciler) workloadsReady(ctx context.Context, s *scope, v *ledger.Version) (ready bool, problem verdict, err error) {
	ready = true
	p := s.plans[v.Version]
	c, err := r.loadCredentials(ctx, s, v, appSide)
	if err != nil {
		return false, verdict{}, err
	}
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		if !s.mayRun(v, workload) {
			continue
		}
		d := s.deployment(v, workload.Name)
		if d == nil || !rolledOut(d) {
			ready = false
			continue
		}
		// One that was scaled down has all the pods that it should have, and is not ready.
		wanted := renderWorkload(s, v, p, c, workload, s.size(v, workload).replicas)
		if err := stampInputs(wanted); err != nil {
			return false, verdict{}, err
		}
		ready = ready && asApplied(wanted, d)
	}
	if ready {
		return true, verdict{}, nil
	}
	return false, s.podTrouble(v), nil
}

// podTrouble is what keeps any pod of the version, its follower included, from
// running.
func (s *scope) podTrouble(v *ledger.Version) verdict {
	for i := range s.pods {
		pod := &s.pods[i]
		isStep := pod.Labels[v1alpha1.LabelStage] != "" && pod.Labels[v1alpha1.LabelStage] != followerName
		if pod.Labels[v1alpha1.LabelVersion] != v.Version || isStep {
			continue
		}
		if problem := judgePod(pod); problem.reason != "" {
			return problem
		}
	}
	return s.refusedPods(v)
}

// refusedPods tells of a Deployment whose pods are not even made: a quota, a policy or
// a service account that is not there is in the way, which no pod can tell.
func (s *scope) refusedPods(v *ledger.Version) verdict {
	for i := range s.deployments {
		d := &s.deployments[i]
		if d.Labels[v1alpha1.LabelVersion] != v.Version {
			continue
		}
		for _, condition := range refusedPods(d.Status.Conditions) {
			return verdict{reason: v1alpha1.ReasonSpecRefused, message: fmt.Sprintf(
				"the cluster does not make the pods of Deployment %s: %s; correct the spec, or have it allowed: it goes on by itself", d.Name, condition.Message)}
		}
	}
	return verdict{}
}

func isWorkloadOf(labels map[string]string, v *ledger.Version) bool {
	return labels[v1alpha1.LabelVersion] == v.Version && labels[v1alpha1.LabelWorkload] != ""
}

func (s *scope) deployment(v *ledger.Version, workload string) *appsv1.Deployment {
	for i := range s.deployments {
		d := &s.deployments[i]
		if d.Labels[v1alpha1.LabelVersion] == v.Version && d.Labels[v1alpha1.LabelWorkload] == workload {
			return d
		}
	}
	return nil
}
