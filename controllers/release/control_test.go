package release

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func suspended(on bool) func(*v1alpha1.NawhasRelease) {
	return func(r *v1alpha1.NawhasRelease) { r.Spec.Suspend = on }
}

func TestASuspendedReleaseBeginsNothing(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(suspended(true))
	w.release("3.2.0")

	release := w.until("suspended", readyFor(v1alpha1.ReasonSuspended))
	w.settle()

	if isTrue(release, v1alpha1.ConditionReconciling) || isTrue(release, v1alpha1.ConditionStalled) || !isTrue(release, v1alpha1.ConditionSuspended) ||
		!isTrue(release, v1alpha1.ConditionAvailable) || isTrue(release, v1alpha1.ConditionDatabaseReady) {
		t.Errorf("it is not told truthfully:\n%s", w.told())
	}
	if w.databaseExists(w.prefix+"3_2_0") || len(w.jobs("3.2.0")) > 0 {
		t.Error("something was begun")
	}
	if !w.recorded(v1alpha1.ReasonSuspended) {
		t.Error("no Event tells of it")
	}

	w.update(suspended(false))
	release = w.until("live", isLive("3.2.0"))
	if c := conditionOf(release, v1alpha1.ConditionSuspended); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonResumed {
		t.Errorf("the condition Suspended is %+v", c)
	}
}

func TestASuspendedCandidateStaysWhereItIs(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	w.until("verified", func(r *v1alpha1.NawhasRelease) bool { return isTrue(r, v1alpha1.ConditionVerified) })
	w.update(suspended(true))

	release := w.until("suspended", readyFor(v1alpha1.ReasonSuspended))
	for range 3 {
		w.settle()
	}

	if live := w.get().Status.Live; live != "3.1.2" || !isTrue(release, v1alpha1.ConditionVerified) || conditionOf(release, v1alpha1.ConditionCaughtUp).Reason != v1alpha1.ReasonSuspended {
		t.Errorf("it went on or forgot where it was:\n%s", w.told())
	}
	// What is live is looked after.
	w.must(cluster.Delete(t.Context(), w.follower("3.1.2")))
	w.settle()
	if n := ptr.Deref(w.follower("3.1.2").Spec.Replicas, 1); n != 1 {
		t.Errorf("the live version has %d followers", n)
	}
	w.update(suspended(false))
	w.until("live", isLive("3.2.0"))
}

func TestASuspendedReleaseIsNotSentBack(t *testing.T) {
	w := twoVersions(t)
	w.update(suspended(true))
	w.fails("3.2.0")
	w.settle()
	if live := w.get().Status.Live; live != "3.2.0" {
		t.Fatalf("it was sent back: %s is live", live)
	}

	w.update(suspended(false))
	w.until("sent back", isHeldAt("3.1.2"))
}

func TestAVersionThatIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.idle = true
	w.release("3.2.0")
	w.until("migrating", readyFor(v1alpha1.ReasonMigrating))

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Abort = "3.2.0" })
	release := w.until("given up", stalledFor(v1alpha1.ReasonAborted))
	w.kubelet.idle = false
	w.settle()

	if jobs := w.jobs("3.2.0"); len(jobs) > 0 {
		t.Errorf("its Jobs go on: %v", jobs)
	}
	if release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) || !w.databaseExists(w.prefix+"3_2_0") {
		t.Errorf("what is live was touched, or the database dropped:\n%s", w.told())
	}
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "take spec.abort away and raise spec.retry to 1") {
		t.Errorf("it does not say how to go on: %s", message)
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Abort = "" })
	w.settle()
	if reason := conditionOf(w.get(), v1alpha1.ConditionStalled).Reason; reason != v1alpha1.ReasonAborted {
		t.Fatalf("it is no longer held: %s", reason)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
	w.until("live", isLive("3.2.0"))
}

func TestAVersionThatIsGivenUpMakesWayForAnother(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Abort = "3.1.2" })
	release := w.until("given up", stalledFor(v1alpha1.ReasonAborted))
	w.settle()
	if len(release.Status.Versions) > 0 || w.databaseExists(w.prefix+"3_1_2") {
		t.Errorf("what was given up was begun:\n%s", w.told())
	}

	w.release("3.1.3")
	w.until("live", isLive("3.1.3"))
}

// It was ready before it was given up; its pods have gone since.
func TestAVersionThatWasGivenUpHasToBeReadyAgain(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Abort = "3.2.0" })
	w.until("given up", stalledFor(v1alpha1.ReasonAborted))
	w.settle()
	if n := len(w.podsWith(map[string]string{v1alpha1.LabelVersion: "3.2.0", v1alpha1.LabelWorkload: "api"})); n != 0 {
		t.Fatalf("%d pods of it run", n)
	}

	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Abort, r.Spec.Retry, r.Spec.Promotion.Approved = "", 1, "3.2.0"
	})
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if release := w.get(); release.Status.Live != "3.1.2" || isTrue(release, v1alpha1.ConditionCaughtUp) {
		t.Fatalf("it went live without pods:\n%s", w.told())
	}
	w.until("live", isLive("3.2.0"))
}

// The same is true of one whose pods ended because another version was held.
func TestAVersionThatWasReadyBeforeAHoldHasToBeReadyAgain(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Annotations = map[string]string{v1alpha1.AnnotationHold: "3.1.2"} })
	w.until("held", stalledFor(v1alpha1.ReasonHeld))
	w.settle()
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Annotations, r.Spec.Promotion.Approved = nil, "3.2.0"
	})
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if release := w.get(); release.Status.Live != "3.1.2" || isTrue(release, v1alpha1.ConditionCaughtUp) {
		t.Fatalf("it went live without pods:\n%s", w.told())
	}
	w.until("live", isLive("3.2.0"))
}

func TestAFailedStageIsTriedAgainAtOnceWhenRetryIsRaised(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.kubelet.refuse = map[string]int32{"replay": 1}
	release := w.until("failed", readyFor(v1alpha1.ReasonJobFailed))
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "spec.retry is raised to 1") {
		t.Errorf("it does not say how to try again at once: %s", message)
	}
	w.kubelet.refuse = nil
	w.settle()
	if reason := conditionOf(w.get(), v1alpha1.ConditionReplayed).Reason; reason != v1alpha1.ReasonJobFailed {
		t.Fatalf("it was tried again by itself: %s", reason)
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })

	w.until("live", isLive("3.1.2"))
}

func TestRetryAsked(t *testing.T) {
	job := func(retry string) *batchv1.Job {
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationRetry: retry}}}
	}
	for name, c := range map[string]struct {
		job   *batchv1.Job
		retry int64
		want  bool
	}{
		"not raised":                {job("2"), 2, false},
		"raised":                    {job("2"), 3, true},
		"lowered":                   {job("2"), 1, false},
		"a Job of an old operator":  {&batchv1.Job{}, 5, false},
		"a Job that somebody broke": {job("x"), 5, false},
	} {
		if got := retryAsked(c.job, c.retry); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestObeyAbort(t *testing.T) {
	givenUp := aVersion("2.0.0", ledger.Candidate)
	givenUp.Held = &ledger.Held{Reason: v1alpha1.ReasonAborted}
	live, candidate := aVersion("1.0.0", ledger.Live), aVersion("2.0.0", ledger.Candidate)
	for name, c := range map[string]struct {
		abort    string
		versions []*ledger.Version
		version  string
		reason   string
		refused  bool
	}{
		"nothing is given up":            {"", []*ledger.Version{candidate, live}, "2.0.0", "", false},
		"another one is named":           {"1.9.0", []*ledger.Version{candidate, live}, "2.0.0", "", false},
		"a candidate":                    {"2.0.0", []*ledger.Version{candidate, live}, "1.0.0", v1alpha1.ReasonAborted, false},
		"one that was not begun":         {"2.0.0", []*ledger.Version{live}, "1.0.0", v1alpha1.ReasonAborted, false},
		"the first one":                  {"2.0.0", nil, "2.0.0", v1alpha1.ReasonAborted, true},
		"the first one, the field gone":  {"", []*ledger.Version{givenUp}, "2.0.0", v1alpha1.ReasonAborted, true},
		"one that is live is not":        {"2.0.0", []*ledger.Version{aVersion("2.0.0", ledger.Live)}, "2.0.0", "", false},
		"one that is being removed is":   {"2.0.0", []*ledger.Version{aVersion("2.0.0", ledger.Retiring), live}, "1.0.0", v1alpha1.ReasonAborted, false},
		"one on its way back is as well": {"2.0.0", []*ledger.Version{aVersion("2.0.0", ledger.Warm), live}, "1.0.0", v1alpha1.ReasonAborted, false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &v1alpha1.NawhasReleaseSpec{Version: "2.0.0", Abort: c.abort}
			got := obeyAbort(choice{version: "2.0.0"}, spec, c.versions)
			said := got.instead
			if c.refused {
				said = got.refused
			}
			if got.version != c.version || (said == nil) != (c.reason == "") || said != nil && said.reason != c.reason {
				t.Errorf("chose %+v", got)
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	const deadline = 10 * time.Minute
	for name, c := range map[string]struct {
		way   outcome
		since time.Time
		want  string
	}{
		"in time":                         {waiting(v1alpha1.ReasonStartingPods, "waiting for the pods", 0), noon.Add(-time.Minute), v1alpha1.ReasonStartingPods},
		"too late":                        {waiting(v1alpha1.ReasonStartingPods, "waiting for the pods", 0), noon.Add(-deadline), v1alpha1.ReasonProgressDeadlineExceeded},
		"passed":                          {passed("done"), noon.Add(-time.Hour), v1alpha1.ReasonSucceeded},
		"stalled for a reason of its own": {blocked(v1alpha1.ReasonJobFailed, "failed", 0), noon.Add(-time.Hour), v1alpha1.ReasonJobFailed},
		"somebody's to decide":            {waiting(v1alpha1.ReasonAwaitingApproval, "approve it", 0), noon.Add(-time.Hour), v1alpha1.ReasonAwaitingApproval},
		"suspended":                       {outcome{reason: v1alpha1.ReasonSuspended, paused: true}, noon.Add(-time.Hour), v1alpha1.ReasonSuspended},
		"not begun":                       {waiting(v1alpha1.ReasonCreatingDatabase, "creating", 0), time.Time{}, v1alpha1.ReasonCreatingDatabase},
	} {
		t.Run(name, func(t *testing.T) {
			got := overdue(c.way, c.since, deadline, noon)
			if got.reason != c.want {
				t.Errorf("got %+v", got)
			}
			if got.reason == v1alpha1.ReasonProgressDeadlineExceeded && (!got.stalled || !strings.Contains(got.message, "waiting for the pods")) {
				t.Errorf("it is not told what is waited for: %+v", got)
			}
		})
	}
	if got := overdue(waiting(v1alpha1.ReasonStartingPods, "", 0), noon.Add(-time.Minute), deadline, noon); got.again != 9*time.Minute {
		t.Errorf("it is looked at again after %s", got.again)
	}
}

func TestAStageThatWaitsForTooLongIsToldAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 200))
	w.kubelet.behind = 150
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.ProgressDeadlineSeconds = "3.2.0", ptr.To(int32(60))
	})
	w.until("lagging", readyFor(v1alpha1.ReasonCatchingUp))

	w.kubelet.wait(2 * time.Minute)
	release := w.until("stalled", stalledFor(v1alpha1.ReasonProgressDeadlineExceeded))
	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !strings.Contains(message, "150 events behind, at most 100 are allowed") {
		t.Errorf("it does not say what is waited for: %s", message)
	}
	if !isTrue(release, v1alpha1.ConditionAvailable) || conditionOf(release, v1alpha1.ConditionCaughtUp).Reason != v1alpha1.ReasonCatchingUp {
		t.Errorf("the rest is not as it was:\n%s", w.told())
	}

	w.kubelet.behind = 0
	w.until("live", isLive("3.2.0"))
}

// What a version came to days ago is not since when it waits.
func TestAVersionWhosePodsAreReplacedIsNotSaidToMakeNoProgress(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Promotion = v1alpha1.PromotionSpec{Mode: v1alpha1.PromotionManual}
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	w.settle()
	w.daysLater("3.1.2")
	w.writesNoStage("3.1.2")
	w.kubelet.rolls = func(d *appsv1.Deployment) bool { return d.Labels[v1alpha1.LabelWorkload] == "" }
	w.must(cluster.Delete(t.Context(), w.workload("3.1.2")))

	for range 3 {
		_, err := w.pass()
		w.must(err)
		if release := w.get(); isTrue(release, v1alpha1.ConditionStalled) || isTrue(release, v1alpha1.ConditionCaughtUp) {
			t.Fatalf("it waits for its pods since a moment ago:\n%s", w.told())
		}
	}
	w.writesNoStage("3.1.2")

	w.kubelet.rolls = nil
	w.until("waiting again", readyFor(v1alpha1.ReasonAwaitingApproval))
}

func TestAWayBackAfterDaysIsNotSaidToMakeNoProgress(t *testing.T) {
	w := twoVersions(t)
	w.daysLater("3.1.2")
	w.kubelet.wait(time.Hour) // its pods are gone
	w.settle()
	w.kubelet.wait(-time.Hour)
	w.release("3.1.2")

	_, err := w.pass()
	w.must(err)

	if release := w.get(); isTrue(release, v1alpha1.ConditionStalled) || conditionOf(release, v1alpha1.ConditionCaughtUp).Reason != v1alpha1.ReasonStartingPods {
		t.Errorf("it waits for its pods since a moment ago:\n%s", w.told())
	}
	w.until("live", isLive("3.1.2"))
}

// daysLater is what the ledger and the cluster know of a version three days after
// what it came to: its Jobs are tidied up.
func (w *world) daysLater(version string) {
	w.t.Helper()
	_, err := w.admin(w.sourceDatabase).Exec(w.t.Context(), `UPDATE nawhas_ledger.stages SET started_at = started_at - interval '3 days',
		finished_at = finished_at - interval '3 days' WHERE version = $1`, version)
	w.must(err)
	w.must(cluster.DeleteAllOf(w.t.Context(), &batchv1.Job{}, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelVersion: version},
		client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

// writesNoStage says that passes leave what the ledger knows of a version's stages
// as it is.
func (w *world) writesNoStage(version string) {
	w.t.Helper()
	before := w.journalled(version)
	for range 3 {
		_, err := w.pass()
		w.must(err)
	}
	if after := w.journalled(version); after != before {
		w.t.Errorf("the ledger got %d entries for nothing", after-before)
	}
}

func (w *world) journalled(version string) (entries int) {
	w.t.Helper()
	w.must(w.admin(w.sourceDatabase).QueryRow(w.t.Context(), "SELECT count(*) FROM nawhas_ledger.journal WHERE version = $1", version).Scan(&entries))
	return entries
}

// So does a round count, before its Job is there.
func TestARoundIsProgress(t *testing.T) {
	v := aVersion("1.0.0", ledger.Candidate)
	v.Stages[v1alpha1.ConditionCaughtUp] = ledger.Stage{StartedAt: noon.Add(-time.Hour)}
	v.Rounds = []ledger.Round{{Number: 7, StartedAt: noon.Add(-time.Minute)}}
	s := &scope{now: noon, target: v, release: &v1alpha1.NawhasRelease{}}
	if got := s.progressedAt(); !got.Equal(noon.Add(-time.Minute)) {
		t.Errorf("progressed at %s", got)
	}
}

// The step has a timeout of its own.
func TestAPodOfAStepThatRunsIsProgress(t *testing.T) {
	v := aVersion("1.0.0", ledger.Candidate)
	v.Stages[v1alpha1.ConditionReplayed] = ledger.Stage{StartedAt: noon.Add(-time.Hour)}
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "replay", UID: "1", Annotations: map[string]string{v1alpha1.AnnotationBuild: v.Build.String()}}}
	pod := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning},
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "replay", UID: "1", Controller: ptr.To(true)}}}}
	s := &scope{now: noon, target: v, release: &v1alpha1.NawhasRelease{}, jobs: []batchv1.Job{job}, pods: []corev1.Pod{pod}}
	if got := s.progressedAt(); !got.Equal(noon) {
		t.Errorf("progressed at %s", got)
	}
	s.pods[0].Status.Phase = corev1.PodPending
	if got := s.progressedAt(); !got.Equal(noon.Add(-time.Hour)) {
		t.Errorf("a pod that does not start passes for progress: %s", got)
	}
}

func (w *world) podsWith(labels map[string]string) []corev1.Pod {
	w.t.Helper()
	var found corev1.PodList
	w.must(cluster.List(w.t.Context(), &found, client.InNamespace(w.namespace), client.MatchingLabels(labels)))
	return found.Items
}
