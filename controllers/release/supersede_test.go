package release

import (
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// A candidate that is verified and shown makes way for another one before it goes live:
// whatever it had is gone, whenever operators end, and what is live is not touched.
func TestACandidateMakesWayForTheNextOne(t *testing.T) {
	w := awaitingApproval(t)
	w.release("3.3.0")
	w.crashOn(func(r *v1alpha1.NawhasRelease) bool {
		return len(r.Status.Versions) == 2 && versionOf(r, "3.2.0").Version == "" && switchedSays(v1alpha1.ReasonAwaitingApproval, "3.3.0")(r)
	}, func(n int) bool { return n%2 == 1 })
	var left int
	w.must(w.admin("postgres").QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1) + (SELECT count(*) FROM pg_database WHERE datname LIKE $1)`,
		w.prefix+"3\\_2\\_0%").Scan(&left))
	if pods := w.podsWith(map[string]string{v1alpha1.LabelVersion: "3.2.0"}); left != 0 || len(pods) != 0 || len(w.jobs("3.2.0")) != 0 {
		t.Errorf("left of version 3.2.0 are %d roles and databases, %d pods and Jobs %v", left, len(pods), w.jobs("3.2.0"))
	}
	w.onlyAppends("3.1.2", "3.3.0")
}

// Nothing is shown that nobody is to look at any more.
func TestThePreviewOfWhatMakesWayIsTakenAway(t *testing.T) {
	w := awaitingApproval(t)
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}
	w.release("3.3.0")
	w.until("not verified", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})
	if w.settle(); w.hasService("nawhas-api-preview") {
		t.Errorf("the preview leads to version %q", w.selected("nawhas-api-preview"))
	}
	w.kubelet.refuse = nil
	w.kubelet.wait(lastRetry)
	w.until("waiting", switchedSays(v1alpha1.ReasonAwaitingApproval, "3.3.0"))
	if got := w.selected("nawhas-api-preview"); got != "3.3.0" {
		t.Errorf("the preview leads to version %q", got)
	}
}
