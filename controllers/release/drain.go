package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	// overdueAfter is how long after its grace period a pod that is not gone is told
	// with its node, which may be lost.
	overdueAfter = time.Minute
	// lostAfter is when a fence waits for such a pod no more.
	lostAfter = 5 * time.Minute
)

// undrained names the pods of a version that may have received traffic before it lost
// its place, or says that they are not being replaced yet.
func (s *scope) undrained(v *ledger.Version) string {
	return s.stillDraining(v, func(*corev1.Pod) bool { return true })
}

// holdsFence is undrained without the pods that should have ended long ago: nobody is
// left there who would notice that the version may not append any more, and whoever
// is does no harm without that right.
func (s *scope) holdsFence(v *ledger.Version) string {
	return s.stillDraining(v, func(pod *corev1.Pod) bool { return late(pod, s.now) < lostAfter })
}

func (s *scope) stillDraining(v *ledger.Version, counts func(*corev1.Pod) bool) string {
	current := strconv.Itoa(int(v.Drains))
	for i := range s.deployments {
		d := &s.deployments[i]
		if isWorkloadOf(d.Labels, v) && (d.Spec.Template.Annotations[v1alpha1.AnnotationDrained] != current || d.Status.ObservedGeneration < d.Generation) {
			return "their replacement begins"
		}
	}
	var names []string
	for i := range s.pods {
		pod := &s.pods[i]
		if isWorkloadOf(pod.Labels, v) && !ended(pod) && pod.Annotations[v1alpha1.AnnotationDrained] != current && counts(pod) {
			names = append(names, awaited(pod, s.now))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// late is for how long a pod should have ended: the time at which it is deleted has
// its grace period in it. A kubelet that answers needs no more.
func late(pod *corev1.Pod, now time.Time) time.Duration {
	if pod.DeletionTimestamp.IsZero() {
		return 0
	}
	return max(0, now.Sub(pod.DeletionTimestamp.Time))
}

// awaited names a pod, and its node when that seems to be lost.
func awaited(pod *corev1.Pod, now time.Time) string {
	if late(pod, now) < overdueAfter {
		return pod.Name
	}
	return fmt.Sprintf("%s on node %s, which should have ended at %s", pod.Name, firstOf(pod.Spec.NodeName, "?"), pod.DeletionTimestamp.UTC().Format(time.TimeOnly+" MST"))
}
