package release

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// mayRun reports whether a workload may have pods now: all may but exclusive
// ones that have to wait.
func (s *scope) mayRun(v *ledger.Version, workload *v1alpha1.Workload) bool {
	if v.Role == ledger.Live {
		return !workload.Exclusive || s.inTheWay(v, workload.Name) == ""
	}
	return !workload.Exclusive && !s.exclusiveNow(workload.Name)
}

// exclusiveNow reports whether the live version has a workload of that name
// which is exclusive, whatever it was in other versions.
func (s *scope) exclusiveNow(workload string) bool {
	live := s.live()
	if live == nil || s.plans[live.Version] == nil {
		return false
	}
	return slices.ContainsFunc(s.plans[live.Version].Workloads, func(w v1alpha1.Workload) bool { return w.Name == workload && w.Exclusive })
}

// inTheWay names what of other versions an exclusive workload waits for: pods, and
// Deployments that may still get some. A pod that was evicted is replaced, so that
// having none is not enough. A pod on a node that does not answer is in the way,
// however long ago it should have ended: it may still be at work. One that has ended is
// not, although its object is kept.
func (s *scope) inTheWay(v *ledger.Version, workload string) string {
	others := func(labels map[string]string) bool {
		return labels[v1alpha1.LabelWorkload] == workload && labels[v1alpha1.LabelVersion] != v.Version
	}
	var names []string
	for i := range s.pods {
		if pod := &s.pods[i]; others(pod.Labels) && !ended(pod) {
			names = append(names, awaited(pod, s.now))
		}
	}
	for i := range s.deployments {
		if d := &s.deployments[i]; len(names) == 0 && others(d.Labels) && !stopped(d) {
			names = append(names, "Deployment "+d.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// stopped reports whether a Deployment is to have no pods and its controller, which
// knows that, has none left but those that are ending.
func stopped(d *appsv1.Deployment) bool {
	// One that was made to have none, and not changed since, never had any.
	known := d.Status.ObservedGeneration >= d.Generation || d.Generation == 1
	return ptr.Deref(d.Spec.Replicas, 1) == 0 && known && d.Status.Replicas == 0
}

// exclusiveWaits says for which pods an exclusive workload of the live version
// waits, nil when for none.
func (s *scope) exclusiveWaits() *outcome {
	live := s.live()
	if live == nil || s.plans[live.Version] == nil {
		return nil
	}
	for i := range s.plans[live.Version].Workloads {
		workload := &s.plans[live.Version].Workloads[i]
		if !workload.Exclusive {
			continue
		}
		if pods := s.inTheWay(live, workload.Name); pods != "" {
			result := waiting(v1alpha1.ReasonDraining, fmt.Sprintf(
				"exclusive workload %s of version %s starts when the pods of other versions are gone from the API (%s); if their node does not answer, make sure that it is off and taint it with node.kubernetes.io/out-of-service, or delete the node, or the pods with --force once nothing of them runs",
				workload.Name, live.Version, pods), 0)
			return &result
		}
	}
	return nil
}
