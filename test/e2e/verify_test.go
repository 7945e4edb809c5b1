//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// forgetful is a version whose projector forgets album deletions; see
// testdata/forgetful.
const forgetful = "3.3.0"

// A replay into its database succeeds, its pods would start, and readers would
// see albums that are gone. The verification is what keeps it from going live.
func TestAVersionThatIsWrongDoesNotGoLive(t *testing.T) {
	t.Parallel()
	w := newReachableWorld(t, 5_000, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version = next
		r.Spec.Verify.Compare = v1alpha1.CompareRequire
	})
	running := w.load()
	w.release(forgetful)
	condition := w.untilReason(v1alpha1.ConditionVerified, v1alpha1.ReasonJobFailed)
	named := regexp.MustCompile(`albums-content: ([1-9][0-9]*) of [0-9]+ albums .*album:[0-9a-f-]{36} differs in alive`)
	found := named.FindStringSubmatch(condition.Message)
	if found == nil {
		t.Errorf("the condition does not say which check failed, by how much and on which keys: %s", condition.Message)
	}

	release := w.Release(t)
	if release.Status.Live != next || !meta.IsStatusConditionTrue(release.Status.Conditions, v1alpha1.ConditionAvailable) ||
		!meta.IsStatusConditionTrue(release.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Errorf("version %s is not left alone: %+v", next, release.Status.Conditions)
	}
	w.isFoundWrong(release)
	writes := fmt.Sprintf("SELECT count(*) FROM pg_roles WHERE rolname = '%s3_3_0_app' AND has_any_column_privilege(rolname, 'events', 'INSERT')", w.Prefix)
	if w.count(w.source(), writes) != 0 {
		t.Error("the version that is wrong may write to the log")
	}
	w.release(next)
	w.until("rid of the candidate", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	w.stop(running)
}

// isFoundWrong looks for the forgotten deletions in the status: in the contents
// and as rows that the live version does not have.
func (w *world) isFoundWrong(release *v1alpha1.NawhasRelease) {
	w.t.Helper()
	var found *v1alpha1.VerificationStatus
	for _, v := range release.Status.Versions {
		if v.Version == forgetful {
			found = v.Verification
		}
	}
	if found == nil || found.Passed || found.ComparedWith != next || found.Position == 0 {
		w.t.Fatalf("the status tells %+v", found)
	}
	faults := map[string]int64{}
	for _, check := range found.Failed {
		faults[check.Name] = check.Faults
		if check.Faults > 0 && len(check.Samples) == 0 {
			w.t.Errorf("check %s names no key", check.Name)
		}
	}
	if faults["albums-content"] == 0 || faults["compared:albums"] == 0 {
		w.t.Errorf("the failed checks are %v", faults)
	}
	w.t.Logf("found wrong: %v", faults)
}
