package release

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// current is the plan with what of the present spec applies to all versions at
// once: the number of pods, what scales and guards them, their resources, those
// of the follower, the events that it skips, and what is run before a version
// makes way: what was right when it went live may be wrong when it leaves.
// Workloads and containers that the spec no longer has keep theirs.
func (p *plan) current(spec *v1alpha1.NawhasReleaseSpec) *plan {
	current := *p
	current.Workloads = slices.Clone(p.Workloads)
	current.Replay.SkipEvents = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Replay.SkipEvents, spec.Replay.SkipEvents))))
	current.Replay.Follow.Resources = *spec.Replay.Follow.Resources.DeepCopy()
	// A spec without rounds may know nothing of a queue, which the version that makes way
	// for its follower has all the same.
	if spec.Replay.Drained != nil || spec.Replay.Strategy == v1alpha1.ReplayRounds {
		current.Replay.Drained = spec.Replay.Drained.DeepCopy()
	}
	for i := range current.Workloads {
		workload := &current.Workloads[i]
		for j := range spec.Workloads {
			if spec.Workloads[j].Name == workload.Name {
				renew(workload, &spec.Workloads[j])
			}
		}
	}
	return &current
}

// renew takes over what applies to all versions of a workload at once.
func renew(workload, wanted *v1alpha1.Workload) {
	workload.Replicas, workload.Autoscaling, workload.DisruptionBudget = wanted.Replicas, wanted.Autoscaling, wanted.DisruptionBudget
	pod, present := workload.Template.Spec.DeepCopy(), wanted.Template.Spec.DeepCopy()
	pod.Resources = present.Resources
	renewResources(pod.Containers, present.Containers)
	renewResources(pod.InitContainers, present.InitContainers)
	workload.Template.Spec = *pod
}

// renewResources gives containers the resources that those of the same name
// have in the present spec. Claims name what the pod's own template declares.
func renewResources(containers, present []corev1.Container) {
	for i := range containers {
		for j := range present {
			if present[j].Name == containers[i].Name {
				containers[i].Resources.Limits, containers[i].Resources.Requests = present[j].Resources.Limits, present[j].Resources.Requests
			}
		}
	}
}
