package release

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// A pod of a lost node stays in the API. The fence waits for it no longer than a
// kubelet that answers could need; an exclusive workload does, because it may still run.
func TestAPodOfALostNode(t *testing.T) {
	labels := map[string]string{v1alpha1.LabelVersion: "1.0.0", v1alpha1.LabelWorkload: "queue"}
	for name, c := range map[string]struct {
		due          time.Duration
		fence, queue string
	}{
		"it runs":                  {due: 0, fence: "old", queue: "old"},
		"it ends":                  {due: -20 * time.Second, fence: "old", queue: "old"},
		"it should have ended":     {due: 2 * time.Minute, fence: "old on node n1, which should have ended at 11:58:00 UTC", queue: "old on node n1, which should have ended at 11:58:00 UTC"},
		"it should have, long ago": {due: 6 * time.Minute, queue: "old on node n1, which should have ended at 11:54:00 UTC"},
	} {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: labels}, Spec: corev1.PodSpec{NodeName: "n1"}}
		if c.due != 0 {
			pod.DeletionTimestamp = ptr.To(metav1.NewTime(noon.Add(-c.due)))
		}
		v := aVersion("1.0.0", ledger.Warm)
		v.Drains = 1
		s := &scope{now: noon, pods: []corev1.Pod{pod}}
		if got := s.holdsFence(v); got != c.fence {
			t.Errorf("%s: the fence waits for %q", name, got)
		}
		if got := s.inTheWay(aVersion("2.0.0", ledger.Live), "queue"); got != c.queue {
			t.Errorf("%s: the queue waits for %q", name, got)
		}
		if s.undrained(v) == "" {
			t.Errorf("%s: it is taken for drained", name)
		}
	}
}

// A pod that was evicted is about to be replaced as long as its Deployment is to have any.
func TestAnExclusiveWorkloadWaitsForADeploymentThatMayGetPods(t *testing.T) {
	for name, c := range map[string]struct {
		replicas, present int32
		observed          int64
		want              string
	}{
		"not scaled to nothing yet":     {replicas: 1, observed: 2, want: "Deployment old"},
		"its controller does not know":  {replicas: 0, observed: 1, want: "Deployment old"},
		"its controller is not done":    {replicas: 0, present: 1, observed: 2, want: "Deployment old"},
		"it has none and will get none": {replicas: 0, observed: 2},
	} {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "old", Generation: 2, Labels: map[string]string{v1alpha1.LabelVersion: "1.0.0", v1alpha1.LabelWorkload: "queue"}},
			Spec: appsv1.DeploymentSpec{Replicas: &c.replicas}, Status: appsv1.DeploymentStatus{Replicas: c.present, ObservedGeneration: c.observed}}
		s := &scope{deployments: []appsv1.Deployment{d}}
		if got := s.inTheWay(aVersion("2.0.0", ledger.Live), "queue"); got != c.want {
			t.Errorf("%s: it waits for %q", name, got)
		}
	}
}
