package release

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestFinishedJobsAreRemovedAndTheirEvidenceStays(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Retention.KeepJobsFor = &metav1.Duration{Duration: time.Hour} })
	w.until("live", isLive("3.1.2"))
	w.settle()
	if jobs := w.jobs("3.1.2"); len(jobs) != 3 {
		t.Fatalf("the Jobs are %v", jobs)
	}

	w.kubelet.wait(2 * time.Hour)
	w.settle()

	if jobs, pods := w.jobs("3.1.2"), w.podsWith(map[string]string{v1alpha1.LabelStage: verifyStep}); len(jobs) != 0 || len(pods) != 0 {
		t.Errorf("left are Jobs %v and %d pods", jobs, len(pods))
	}
	release := w.get()
	for _, stage := range versionOf(release, "3.1.2").Stages {
		if slices.Contains([]string{v1alpha1.ConditionMigrated, v1alpha1.ConditionReplayed, v1alpha1.ConditionVerified}, stage.Name) && stage.Evidence == "" {
			t.Errorf("the evidence of %s is gone", stage.Name)
		}
	}
	if !isTrue(release, v1alpha1.ConditionReady) || !isTrue(release, v1alpha1.ConditionVerified) {
		t.Errorf("without its Jobs the version is not what it was:\n%s", w.told())
	}
	w.restart(cluster)
	w.settle()
	if jobs := w.jobs("3.1.2"); len(jobs) != 0 {
		t.Errorf("Jobs were made anew: %v", jobs)
	}
}

func TestDisposable(t *testing.T) {
	live, candidate, warm := aVersion("2.0.0", ledger.Live, v1alpha1.ConditionReplayed, v1alpha1.ConditionVerified), aVersion("3.0.0", ledger.Candidate), aVersion("1.0.0", ledger.Warm)
	for _, v := range []*ledger.Version{live, candidate, warm} {
		v.Build = uuid.New()
	}
	job := func(v *ledger.Version, step string, end batchv1.JobConditionType, ago time.Duration) batchv1.Job {
		j := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelStage: step}, Annotations: map[string]string{v1alpha1.AnnotationBuild: v.Build.String()}}}
		if end != "" {
			j.Status.Conditions = []batchv1.JobCondition{{Type: end, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(-ago))}}
		}
		return j
	}
	for name, c := range map[string]struct {
		job  batchv1.Job
		want bool
	}{
		"old, its stage passed":               {job(live, replayStep, batchv1.JobComplete, 2*time.Hour), true},
		"not old":                             {job(live, replayStep, batchv1.JobComplete, time.Minute), false},
		"it runs":                             {job(live, replayStep, "", 0), false},
		"it failed before its stage passed":   {job(live, verifyStep, batchv1.JobFailed, 2*time.Hour), true},
		"its stage is not passed":             {job(candidate, replayStep, batchv1.JobFailed, 2*time.Hour), false},
		"complete, and not yet believed":      {job(candidate, verifyStep, batchv1.JobComplete, 2*time.Hour), false},
		"it watches what is live":             {job(live, observeStep, batchv1.JobComplete, 2*time.Hour), false},
		"it watched what no longer is":        {job(warm, observeStep, batchv1.JobFailed, 2*time.Hour), true},
		"of a build that nobody knows":        {job(aVersion("9.0.0", ledger.Live), replayStep, batchv1.JobComplete, 2*time.Hour), false},
		"a step that this operator knows not": {job(live, "vacuum", batchv1.JobComplete, 2*time.Hour), false},
	} {
		if got := disposable([]batchv1.Job{c.job}, []*ledger.Version{live, candidate, warm}, time.Hour, noon); (len(got) == 1) != c.want {
			t.Errorf("%s: %t", name, len(got) == 1)
		}
	}
}

func TestAVersionIsRemovedAtItsAge(t *testing.T) {
	w := twoVersions(t, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Retention.Versions, r.Spec.Retention.MaxAge = ptr.To(int32(5)), &metav1.Duration{Duration: 72 * time.Hour}
	})
	w.kubelet.wait(48 * time.Hour)
	w.settle()
	if !w.databaseExists(w.prefix + "3_1_2") {
		t.Fatal("it was removed before its age")
	}
	w.kubelet.wait(48 * time.Hour)
	w.until("removed", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	if w.databaseExists(w.prefix + "3_1_2") {
		t.Error("its database is still there")
	}
}

func TestExpired(t *testing.T) {
	old, young := warmFor(aVersion("1.0.0", ledger.Warm), 4*time.Hour), warmFor(aVersion("1.1.0", ledger.Warm), time.Hour)
	versions := []*ledger.Version{aVersion("3.0.0", ledger.Candidate), aVersion("2.0.0", ledger.Live), young, old}
	if got := versionsOf(expired(versions, nil, 2*time.Hour, noon)); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("expired are %v", got)
	}
	if got := expired(versions, []string{"1.0.0"}, 2*time.Hour, noon); len(got) != 0 {
		t.Errorf("one that is wanted expired: %v", versionsOf(got))
	}
}

func TestTheRolesOfAVersionHaveAConnectionLimit(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Databases.ConnectionLimit = ptr.To(int32(20)) })
	w.until("live", isLive("3.1.2"))
	limits := func() (owner, app int32) {
		w.must(w.admin("postgres").QueryRow(t.Context(), "SELECT max(rolconnlimit) FILTER (WHERE rolname LIKE '%owner'), max(rolconnlimit) FILTER (WHERE rolname LIKE '%app') FROM pg_roles WHERE rolname LIKE $1",
			w.prefix+"3_1_2%").Scan(&owner, &app))
		return owner, app
	}
	if owner, app := limits(); owner != 20 || app != 20 {
		t.Errorf("the limits are %d and %d", owner, app)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Databases.ConnectionLimit = nil })
	w.settle()
	if owner, app := limits(); owner != -1 || app != -1 {
		t.Errorf("the limits stay: %d and %d", owner, app)
	}
}

func TestTheRateOfAReplayIsToldAndChangesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.MaxEventsPerSecond = 1000 })
	w.kubelet.refuse = map[string]int32{"replay": 1}
	w.until("failed", readyFor(v1alpha1.ReasonJobFailed))
	rate := func() string {
		for _, job := range w.allJobs() {
			if job.Labels[v1alpha1.LabelStage] == replayStep && job.DeletionTimestamp.IsZero() {
				return variable(job.Spec.Template.Spec.Containers[0].Env, maxRateVariable)
			}
		}
		return "no Job"
	}
	if got := rate(); got != "1000" {
		t.Fatalf("the replay is told %q", got)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.MaxEventsPerSecond = 0 })
	w.settle()
	if got := rate(); got != "" {
		t.Errorf("the replay is told %q", got)
	}
	w.kubelet.refuse = nil
	w.kubelet.wait(lastRetry)
	w.until("live", isLive("3.1.2"))
}

func (w *world) allJobs() []batchv1.Job {
	w.t.Helper()
	var found batchv1.JobList
	w.must(cluster.List(w.t.Context(), &found, client.InNamespace(w.namespace)))
	return found.Items
}
