package release

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestJudgeAudit(t *testing.T) {
	wrong := []reportedCheck{{Name: "audit:albums", Faults: 2, Detail: "2 of 9 albums", Samples: []string{"album:1", "album:2"}}, {Name: "audit:events", Passed: true}}
	for name, c := range map[string]struct {
		role     ledger.Role
		promised bool
		audit    *report
		says     string
		stalled  bool
	}{
		"no audit promised":                  {role: ledger.Candidate},
		"none yet":                           {role: ledger.Candidate, promised: true, says: "up to position 150 are audited; they are up to 100"},
		"not as far":                         {role: ledger.Candidate, promised: true, audit: &report{Passed: true, Position: 149}, says: "they are up to 149"},
		"up to the watermark":                {role: ledger.Candidate, promised: true, audit: &report{Passed: true, Position: 150}},
		"of another build":                   {role: ledger.Candidate, promised: true, audit: &report{Passed: true, Position: 150, Build: uuid.NewString()}, says: "they are up to 100"},
		"failed":                             {role: ledger.Candidate, promised: true, audit: &report{After: 100, Position: 150, Checks: wrong}, says: "right up to position 100, and is not what the events up to 150 make of it: audit:albums: 2 of 9 albums (such as album:1; album:2)", stalled: true},
		"failed although none was promised":  {role: ledger.Candidate, audit: &report{Position: 150, Checks: wrong}, says: "audit:albums", stalled: true},
		"a warm version is not waited for":   {role: ledger.Warm, promised: true, audit: &report{Passed: true, Position: 120}},
		"a warm version that is wrong stays": {role: ledger.Warm, promised: true, audit: &report{Position: 120, Checks: wrong}, says: "audit:albums", stalled: true},
	} {
		t.Run(name, func(t *testing.T) {
			v := aVersion("3.2.0", c.role)
			v.Build, v.Mark = uuid.New(), ptr.To[int64](150)
			verification, _ := json.Marshal(report{Passed: true, Position: 100, Audited: c.promised})
			kept, _ := json.Marshal(evidence{Report: verification})
			v.Stages[v1alpha1.ConditionVerified] = ledger.Stage{FinishedAt: &noon, Evidence: kept}
			if c.audit != nil {
				c.audit.Build = firstOf(c.audit.Build, v.Build.String())
				v.Checkpoint.Audit, _ = json.Marshal(c.audit)
			}
			got := judgeAudit(v)
			if got.passed != (c.says == "") || !strings.Contains(got.message, c.says) || got.stalled != c.stalled {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// auditing is a live version with events, and a kubelet whose verifications
// promise an audit. While a candidate is verified, three more events come.
func auditing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.kubelet.reports(func(r *report) {
		if r.Audited = true; r.Version == "3.2.0" {
			r.Position = 5
		}
	})
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 5))
	verifies := w.kubelet.verifies
	w.kubelet.verifies = func(job *batchv1.Job) {
		verifies(job)
		w.must(w.kubelet.append("3.1.2", 3))
	}
	return w
}

func switchedSays(reason, message string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		switched := conditionOf(r, v1alpha1.ConditionSwitched)
		return switched.Reason == reason && strings.Contains(switched.Message, message)
	}
}

// What came after the verification is proven before a client can read it.
func TestACandidateWaitsUntilItIsAuditedUpToTheWatermark(t *testing.T) {
	w := auditing(t)
	w.kubelet.audits = func(r *report) { r.Position = 7 }
	w.release("3.2.0")
	release := w.until("waiting", switchedSays(v1alpha1.ReasonSwitching, "up to position 8 are audited; they are up to 7"))
	if release.Status.Live != "3.1.2" || *release.Status.Versions[0].Verification.AuditedPosition != 7 {
		t.Errorf("status %+v", release.Status)
	}
	w.kubelet.audits = func(*report) {}
	w.until("live", isLive("3.2.0"))
}

func TestACandidateWhoseAuditFailedDoesNotGoLive(t *testing.T) {
	w := auditing(t)
	w.kubelet.audits = func(r *report) {
		r.Passed = false
		r.Checks = []reportedCheck{{Name: "audit:albums", Faults: 2, Detail: "2 of 3 albums are wrong", Samples: []string{"album:1"}}}
	}
	w.release("3.2.0")
	w.until("refused", switchedSays(v1alpha1.ReasonAuditFailed, "audit:albums: 2 of 3 albums are wrong (such as album:1)"))
	for range 5 {
		_, err := w.pass()
		w.must(err)
		w.kubelet.work()
	}
	release := w.get()
	failed := release.Status.Versions[0].Verification.Failed
	if release.Status.Live != "3.1.2" || conditionOf(release, v1alpha1.ConditionStalled).Status != metav1.ConditionTrue ||
		conditionOf(release, v1alpha1.ConditionAvailable).Status != metav1.ConditionTrue || len(failed) != 1 || failed[0].Name != "audit:albums" || failed[0].Faults != 2 {
		t.Errorf("status %+v", release.Status)
	}
	w.must(w.kubelet.append("3.1.2", 1))
	if err := w.kubelet.append("3.2.0", 1); err == nil {
		t.Error("the candidate may append")
	}
	// The operator may be another one by now; what it needs to know is in the ledger.
	w.restart(cluster)
	w.until("still refused", switchedSays(v1alpha1.ReasonAuditFailed, "audit:albums"))
	// Somebody put the database back, and the follower has looked again.
	w.kubelet.audits = func(*report) {}
	w.until("live", isLive("3.2.0"))
}

// The way back does not wait for an audit, but does not lead to what is known
// to be wrong.
func TestAWarmVersionWhoseAuditFailedIsNotGoneBackTo(t *testing.T) {
	w := auditing(t)
	w.kubelet.audits = func(*report) {}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.kubelet.audits = func(r *report) {
		if r.Passed = r.Version != "3.1.2"; !r.Passed {
			r.Checks = []reportedCheck{{Name: "audit:reciters", Faults: 1, Detail: "1 of 1 reciters"}}
		}
	}
	w.until("not ready to go back", func(r *v1alpha1.NawhasRelease) bool {
		ready := conditionOf(r, v1alpha1.ConditionRollbackReady)
		return ready.Reason == v1alpha1.ReasonAuditFailed && strings.Contains(ready.Message, "audit:reciters")
	})
	w.release("3.1.2")
	release := w.until("refused", switchedSays(v1alpha1.ReasonAuditFailed, "audit:reciters"))
	if release.Status.Live != "3.2.0" {
		t.Errorf("%s is live", release.Status.Live)
	}
	w.kubelet.audits = func(r *report) { r.Position = 0 }
	w.until("back", isLive("3.1.2"))
}
