//go:build e2e

package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// The operator is killed in the middle of the replay. Another one has to wait
// for the lease of the dead one.
func TestAnOperatorKilledInMidReplayIsReplaced(t *testing.T) { goesLiveDespite(t, inReplay) }

// It is killed after it made the database, and again when it is about to switch.
// `make test-faults` runs this.
func TestAnOperatorKilledAtItsStagesIsReplaced(t *testing.T) {
	goesLiveDespite(t, passed(v1alpha1.ConditionDatabaseReady), passed(v1alpha1.ConditionVerified))
}

// goesLiveDespite has a version go live while the operator is killed at each of
// some moments.
func goesLiveDespite(t *testing.T, moments ...func(*v1alpha1.NawhasRelease) bool) {
	t.Helper()
	const events = 60_000
	w := newWorld(t, events)
	w.create(unchanged)
	w.until("live", func(r *v1alpha1.NawhasRelease) bool {
		if len(moments) > 0 && moments[0](r) {
			moments = moments[1:]
			w.killOperator()
		}
		return meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady)
	})
	if len(moments) > 0 {
		t.Fatalf("%d moments to kill the operator were not met", len(moments))
	}
	w.audit(w.Prefix+"3_1_2", events)
}

func passed(stage string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool { return meta.IsStatusConditionTrue(r.Status.Conditions, stage) }
}

// inReplay is also true when the replay has ended since: a fast machine is no
// reason to fail.
func inReplay(r *v1alpha1.NawhasRelease) bool {
	if passed(v1alpha1.ConditionReplayed)(r) {
		return true
	}
	condition := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReplayed)
	return condition != nil && condition.Reason == v1alpha1.ReasonReplaying
}

// killOperator ends its pods as a lost node would: without a word.
func (w *world) killOperator() {
	w.t.Helper()
	var pods corev1.PodList
	if err := shared.List(w.t.Context(), &pods, client.InNamespace(cluster.OperatorNamespace)); err != nil {
		w.t.Fatal(err)
	}
	for i := range pods.Items {
		if err := client.IgnoreNotFound(shared.Delete(w.t.Context(), &pods.Items[i], client.GracePeriodSeconds(0))); err != nil {
			w.t.Fatal(err)
		}
	}
}
