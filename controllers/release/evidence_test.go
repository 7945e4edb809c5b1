package release

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// aVerified is a candidate with a replay up to position 100, and evidence of it.
func aVerified() (*ledger.Version, evidence) {
	v := aVersion("3.2.0", ledger.Candidate)
	v.Build, v.Image = uuid.New(), "r/api:3.2.0"
	v.Stages[v1alpha1.ConditionReplayed] = ledger.Stage{FinishedAt: &noon, Evidence: json.RawMessage(`{"position": 100}`)}
	return v, evidence{Summary: ledger.Summary{Job: "verify", UID: "uid", Image: v.Image, Version: v.Version, Build: v.Build.String(), Position: 100}}
}

func TestJudgeEvidence(t *testing.T) {
	said := func(change func(*report)) func(*evidence) {
		return func(e *evidence) {
			r := report{Job: e.UID, Version: e.Version, Build: e.Build, Passed: true, Position: e.Position}
			change(&r)
			e.Report, _ = json.Marshal(r)
		}
	}
	for name, c := range map[string]struct {
		change  func(*evidence)
		problem string
	}{
		"of this database":                {func(*evidence) {}, ""},
		"with a report":                   {said(func(*report) {}), ""},
		"later than the replay":           {func(e *evidence) { e.Position = 130 }, ""},
		"none":                            {func(e *evidence) { *e = evidence{} }, "there is no evidence"},
		"of another version":              {func(e *evidence) { e.Version = "3.1.2" }, `of version "3.1.2"`},
		"of another build":                {func(e *evidence) { e.Build = uuid.NewString() }, "another build"},
		"of another image":                {func(e *evidence) { e.Image = "r/api:other" }, "made by image r/api:other"},
		"older than the replay":           {func(e *evidence) { e.Position = 99 }, "before the end of the replay at 100"},
		"a report of another Job":         {said(func(r *report) { r.Job = "other" }), `another Job (uid "other")`},
		"a report of another version":     {said(func(r *report) { r.Version = "3.1.2" }), "its report is of version"},
		"a report of another build":       {said(func(r *report) { r.Build = "" }), "its report is of version"},
		"a report of a failure":           {said(func(r *report) { r.Passed = false }), "the verification failed"},
		"a report of another position":    {said(func(r *report) { r.Position = 101 }), "of position 101"},
		"a report that cannot be decoded": {func(e *evidence) { e.Report = json.RawMessage(`"done"`) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, e := aVerified()
			c.change(&e)
			if problem := judgeEvidence(v, e); problem == "" != (c.problem == "") || !strings.Contains(problem, c.problem) {
				t.Errorf("judged %q", problem)
			}
		})
	}
}

// reports has verifications report as nawhas does.
func (k *kubelet) reports(change func(*report)) {
	k.verifies = func(job *batchv1.Job) {
		template := job.Spec.Template
		said := report{Job: string(job.UID), Version: k.variable(template, "NAWHAS_VERSION"), Build: k.variable(template, "NAWHAS_BUILD"), Passed: true,
			Events: 7, EventsHash: "abc", StartedAt: noon, Seconds: 1.5, Checks: []reportedCheck{{Name: "one", Passed: true}}}
		change(&said)
		encoded, err := json.Marshal(said)
		k.must(err)
		k.must(ledger.NewReporter(k.dial(template, "NAWHAS_SOURCE_URL")).Evidence(k.t.Context(), encoded))
	}
}

func TestAVerificationIsToldInTheStatus(t *testing.T) {
	w := newWorld(t)
	w.kubelet.reports(func(r *report) {
		r.Comparison = &struct{ Version string }{"3.1.1"}
		r.Checks = append(r.Checks, reportedCheck{Name: "compared:albums", Advisory: true, Faults: 12})
	})
	w.newRelease()
	release := w.until("live", isLive("3.1.2"))
	found := release.Status.Versions[0].Verification
	if found == nil || !found.Passed || found.Events != 7 || found.EventsHash != "abc" || found.Checks != 2 || found.ComparedWith != "3.1.1" ||
		*found.Differences != 12 || found.JobUID == "" || found.ImageID != "sha256:abc" || found.Duration.Duration != 1500*time.Millisecond {
		t.Errorf("the status tells %+v", found)
	}
	if message := conditionOf(release, v1alpha1.ConditionVerified).Message; !strings.Contains(message, "12 differences from version 3.1.1") {
		t.Errorf("the condition says %q", message)
	}
}

func TestAFailedVerificationNamesItsChecks(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}
	w.kubelet.reports(func(r *report) {
		r.Passed = false
		r.Checks = append(r.Checks, reportedCheck{Name: "albums-content", Faults: 17, Detail: "17 albums", Samples: []string{"album:1"}})
	})
	w.release("3.2.0")
	release := w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})
	found := release.Status.Versions[0].Verification
	if found == nil || found.Passed || len(found.Failed) != 1 || found.Failed[0].Name != "albums-content" || found.Failed[0].Faults != 17 || len(found.Failed[0].Samples) != 1 {
		t.Errorf("the status tells %+v", found)
	}
}

func TestEvidenceOfAnotherJobIsRefused(t *testing.T) {
	w := newWorld(t)
	w.kubelet.reports(func(r *report) { r.Job = "another" })
	w.newRelease()
	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonEvidenceRefused
	})
	if !isTrue(release, v1alpha1.ConditionStalled) {
		t.Errorf("not stalled:\n%s", w.told())
	}
	w.kubelet.reports(func(*report) {})
	var job batchv1.JobList
	w.must(cluster.List(t.Context(), &job))
	for i := range job.Items {
		if job.Items[i].Namespace == w.namespace && job.Items[i].Labels[v1alpha1.LabelStage] == "verify" {
			w.must(cluster.Delete(t.Context(), &job.Items[i], client.PropagationPolicy(metav1.DeletePropagationBackground)))
		}
	}
	w.until("live", isLive("3.1.2"))
}

// The switch reads the ledger, whatever the stages before it said.
func TestTheSwitchRefusesEvidenceOfSomethingElse(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Mode = v1alpha1.PromotionManual })
	w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	})
	jobs := w.jobs("3.1.2")
	postgres.Exec(t, w.sourceDatabase, `UPDATE nawhas_ledger.stages SET evidence = jsonb_set(evidence, '{build}', '"another"') WHERE name = 'Verified'`)
	_, err := w.pass()
	w.must(err)
	if condition := conditionOf(w.get(), v1alpha1.ConditionSwitched); condition.Reason != v1alpha1.ReasonEvidenceRefused || !strings.Contains(condition.Message, "another build") {
		t.Fatalf("the switch says %s: %s", condition.Reason, condition.Message)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
	w.until("verified again and live", isLive("3.1.2"))
	if again := w.jobs("3.1.2"); len(again) != len(jobs) {
		t.Errorf("there were the Jobs %v and are %v", jobs, again)
	}
}

// The verification of a candidate reads the live version's database, and only
// for as long as it runs. What it is told is exactly what the spec says.
func TestACandidateIsComparedWithTheLiveVersion(t *testing.T) {
	const query = "SELECT $$a$(NAWHAS_VERSION)b$$"
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		expect := "a$(NAWHAS_VERSION)b"
		r.Spec.Verify.Queries = []v1alpha1.VerifyQuery{{Name: "dollars", Query: query, Expect: &expect}}
	})
	w.until("live", isLive("3.1.2"))
	var liveURL string
	w.kubelet.verifies = func(job *batchv1.Job) {
		template := job.Spec.Template
		liveURL = w.kubelet.variable(template, "NAWHAS_LIVE_DATABASE_URL")
		conn := w.kubelet.dial(template, "NAWHAS_LIVE_DATABASE_URL")
		var live string
		w.must(conn.QueryRow(t.Context(), "SELECT current_database() FROM (SELECT count(*) FROM reciters) r").Scan(&live))
		if _, err := conn.Exec(t.Context(), "DELETE FROM reciters"); live != w.prefix+"3_1_2" || err == nil {
			t.Errorf("compared with %s, and may write there: %v", live, err == nil)
		}
		var told struct {
			Compare string
			Queries []struct{ Query string }
		}
		w.must(json.Unmarshal([]byte(w.kubelet.variable(template, "NAWHAS_VERIFY")), &told))
		if told.Compare != "Report" || len(told.Queries) != 1 || told.Queries[0].Query != query || w.kubelet.variable(template, "NAWHAS_LIVE_VERSION") != "3.1.2" {
			t.Errorf("the verification is told %+v", told)
		}
	}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	if liveURL == "" {
		t.Fatal("the candidate was not compared")
	}
	if conn, err := pgx.Connect(t.Context(), liveURL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the version still reads the other one's database")
	}
}

// A candidate that fails while it may read the live database leaves nothing
// behind when it is taken back.
func TestARefusedCandidateIsRemovedWithItsRights(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}
	w.release("3.2.0")
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})
	w.release("3.1.2")
	w.until("removed", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	var roles int
	w.must(w.admin("postgres").QueryRow(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE $1", w.prefix+"3_2_0%").Scan(&roles))
	if roles != 0 {
		t.Errorf("%d roles are left", roles)
	}
}

// A corrected expectation is tried at once, not after the retry's delay.
func TestACorrectedVerificationIsMadeAgainAtOnce(t *testing.T) {
	w := newWorld(t)
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}
	w.newRelease()
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})
	w.kubelet.refuse = nil
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Verify.ExpectedDiff = []v1alpha1.ExpectedDifference{{Table: "albums"}}
	})
	w.until("live", isLive("3.1.2"))
	if jobs := w.jobs("3.1.2"); len(jobs) != 3 || !strings.HasSuffix(jobs[2], "-2") {
		t.Errorf("the Jobs are %v", jobs)
	}
}

func TestExpandedURLs(t *testing.T) {
	c, err := parseConnection("postgres://admin:secret@db.example:6432/postgres?application_name=a%24b", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("postgres://%s:%s@db.example:6432/nawhas_v3_1_2?application_name=a%%24b", "$(NAWHAS_DATABASE_USER)", "$(NAWHAS_DATABASE_PASSWORD)")
	if got := c.expandedURL("nawhas_v3_1_2", ""); got != want {
		t.Errorf("got %s", got)
	}
}

// An image's own verification may report what it likes; the status has a name once.
func TestFailedChecksHaveOneNameEach(t *testing.T) {
	checks := []reportedCheck{{Detail: "no name"}, {Name: "rows", Detail: "one"}, {Name: "rows", Detail: "two"}, {Name: "sums", Passed: true}, {Detail: "no name either"}}
	failed := failedChecks(checks)
	if len(failed) != 2 || failed[0].Name != "unnamed" || failed[1].Detail != "one" {
		t.Errorf("it tells %+v", failed)
	}
}
