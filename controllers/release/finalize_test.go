package release

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The release of that name in another cluster holds what there is by now. Whoever
// is deleted here, by an operator that knew the release or by one that has just
// been started, touches nothing of it.
func TestADeletedReleaseLeavesWhatAnotherHolds(t *testing.T) {
	for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, v1alpha1.DeletionRetain} {
		for what, restarts := range map[string]bool{"a running operator": false, "a new operator": true} {
			t.Run(string(policy)+", "+what, func(t *testing.T) {
				w := newWorld(t)
				release := w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.DeletionPolicy = policy })
				w.until("live", isLive("3.1.2"))
				pods := w.secretOf("3.1.2", appSide)
				w.must(w.auditor.QueryRow(t.Context(), "UPDATE nawhas_ledger.releases SET epoch = epoch + 1, holder = 'another object' RETURNING epoch").Scan(new(int64)))
				if restarts {
					w.restart(cluster)
				}

				w.must(cluster.Delete(t.Context(), release))
				w.untilGone()

				if !w.recorded("LeftToHolder") {
					t.Error("nobody is told")
				}
				w.servesWith(pods)
				var holder string
				w.must(w.auditor.QueryRow(t.Context(), "SELECT holder FROM nawhas_ledger.releases").Scan(&holder))
				if holder != "another object" {
					t.Errorf("the release was taken from its holder, by %q", holder)
				}
			})
		}
	}
}

// A release that was deleted is nobody's: the next object of that name may be
// deleted before it has done anything, and takes what there is with it.
func TestWhatADeletedReleaseLeavesIsTheNextOnes(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(cluster.Delete(t.Context(), release))
	w.untilGone()
	again := w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.DeletionPolicy = v1alpha1.DeletionDelete
		r.Finalizers = []string{v1alpha1.Finalizer}
	})

	w.must(cluster.Delete(t.Context(), again))
	w.untilGone()

	if w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the database is still there")
	}
}

// What is in the way of a deletion is said once, and taken back when it is gone.
func TestADeletionSaysWhatIsInItsWay(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(cluster.Delete(t.Context(), release))
	w.secret("nawhas-source", "postgres://"+w.source+":secret@127.0.0.1:1/"+w.sourceDatabase+"?sslmode=disable")

	_, err := w.pass()

	w.must(err)
	stalled := conditionOf(w.get(), v1alpha1.ConditionStalled)
	if stalled.Status != metav1.ConditionTrue || stalled.Reason != v1alpha1.ReasonUnreachable || !strings.Contains(stalled.Message, "goes all the same") {
		t.Errorf("the release says\n%s", w.told())
	}
	if !w.recorded("Warning " + v1alpha1.ReasonUnreachable) {
		t.Error("no Event tells it")
	}
	_, err = w.pass()
	w.must(err)
	if w.recorded("Warning") {
		t.Error("it is told again")
	}
	w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase))
	w.untilGone()
	if w.recorded("LeftBehind") {
		t.Error("it was given up")
	}
}
