package release

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestARoundThatFailsHasTheCandidateBuiltAnew(t *testing.T) {
	for name, c := range map[string]struct {
		replays func(*aRound)
		says    string
	}{
		"it ends with 1 half way": {func(r *aRound) { r.fails = true }, "the last words of a round"},
		"it does nothing": {func(r *aRound) {
			r.applies = []int64{}
			_ = r.log.QueryRow(context.Background(), "SELECT count(*) FROM stored_events").Scan(new(int))
		}, "did nothing"},
		"it reads another log": {func(r *aRound) { r.applies = []int64{1, 2, 3} }, "never read its log"},
	} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 10)
			w.replaying(c.replays)
			w.newRelease(inRounds)
			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				stalled := conditionOf(r, v1alpha1.ConditionStalled)
				return stalled.Reason == v1alpha1.ReasonRoundFailed && strings.Contains(stalled.Message, "built anew at")
			})
			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, c.says) {
				t.Errorf("it says %s", message)
			}
			w.replaying(nil)
			w.kubelet.wait(lastRetry)
			w.until("live", isLive("3.1.2"))
			w.holdsTheLog("3.1.2")
		})
	}
}

// What comes after the first round must not begin anew.
func TestARoundThatBeginsAnewIsNoticed(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds)
	w.until("live", isLive("3.1.2"))
	w.must(w.write("3.1.2"))
	w.release("3.2.0")
	rounds := 0
	w.replaying(func(r *aRound) {
		if rounds++; rounds == 1 {
			w.must(w.write("3.1.2"))
			return
		}
		r.empties = true
	})
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonRoundFailed
	})
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "emptied public.applied") || !strings.Contains(message, "--from=$(NAWHAS_REPLAY_FROM)") {
		t.Errorf("it says %s", message)
	}
	if release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("the live version was touched:\n%s", w.told())
	}
}

// A round whose Job is deleted may have begun: nothing is built on it.
func TestARoundWhoseJobIsDeletedIsNotBegunAgain(t *testing.T) {
	w := withALostRound(t)
	w.kubelet.does = nil
	w.kubelet.wait(lastRetry)
	w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
}

// Whoever deletes a Job to have it tried again, and then asks for it as the
// release says, does not wait for its time.
func TestARoundWhoseJobWasDeletedIsTriedAgainWhenRetryIsRaised(t *testing.T) {
	w := withALostRound(t, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if job := w.stageJob(roundStep); job != nil {
		t.Fatalf("Job %s is still there", job.Name)
	}
	w.kubelet.does = nil
	w.settle()
	if message := conditionOf(w.get(), v1alpha1.ConditionReady).Message; !strings.Contains(message, "spec.retry is raised to 1") {
		t.Fatalf("it was built anew by itself, or does not say how: %s", message)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
	w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
}

// A round whose Job is suspended while its pod runs has lost the pod. Another one
// would replay on top of what that one left.
func TestARoundWhoseJobIsSuspendedIsNotLetGoAgain(t *testing.T) {
	w, job := withARoundUnderWay(t)
	w.kubelet.pod(job, "Job", job.Spec.Template, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.must(cluster.Patch(t.Context(), job, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))))
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.Contains(conditionOf(r, v1alpha1.ConditionReady).Message, "its Job was suspended while it ran")
	})
	w.kubelet.does = nil
	w.kubelet.wait(lastRetry)
	w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
}

func TestWhetherAJobWasLetGo(t *testing.T) {
	at := metav1.Now()
	for name, c := range map[string]struct {
		status batchv1.JobStatus
		pods   []corev1.Pod
		want   bool
	}{
		"just made":        {batchv1.JobStatus{}, nil, false},
		"seen, suspended":  {batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue}}, UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{}}, nil, false},
		"with a pod":       {batchv1.JobStatus{}, []corev1.Pod{{}}, true},
		"begun":            {batchv1.JobStatus{StartTime: &at}, nil, true},
		"its pod is over":  {batchv1.JobStatus{Failed: 1}, nil, true},
		"its pod is ended": {batchv1.JobStatus{UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a"}}}, nil, true},
	} {
		if got := wasLetGo(&batchv1.Job{Status: c.status}, c.pods); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for generation, want := range map[int64]bool{1: false, 3: true} {
		if got := wasLetGo(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Generation: generation}}, nil); got != want {
			t.Errorf("changed %d times: %t", generation-1, got)
		}
	}
}

// withALostRound is a world whose candidate's round has lost its Job.
func withALostRound(t *testing.T, how ...client.DeleteOption) *world {
	t.Helper()
	w, job := withARoundUnderWay(t)
	w.must(cluster.Delete(t.Context(), job, how...))
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.Contains(conditionOf(r, v1alpha1.ConditionReady).Message, "its Job was deleted")
	})
	return w
}

// withARoundUnderWay is a world whose candidate's round was let go.
func withARoundUnderWay(t *testing.T) (*world, *batchv1.Job) {
	t.Helper()
	w := withStoredEvents(t)
	w.stored(10)
	w.kubelet.does = func(stage string) bool { return stage != roundStep }
	w.newRelease(inRounds)
	var job *batchv1.Job
	w.until("under way", func(*v1alpha1.NawhasRelease) bool {
		w.kubelet.look()
		for i := range w.kubelet.seen.jobs {
			if j := &w.kubelet.seen.jobs[i]; j.Labels[v1alpha1.LabelStage] == roundStep && !ptr.Deref(j.Spec.Suspend, false) {
				job = j
			}
		}
		return job != nil
	})
	if job.Spec.PodFailurePolicy != nil || ptr.Deref(job.Spec.BackoffLimit, 6) != 0 {
		t.Errorf("a pod of it may be tried again: %+v", job.Spec)
	}
	return w, job
}

// A warm version whose round failed cannot come back, and says so; what is live
// goes on.
func TestAFailedRoundOfAWarmVersionEndsTheWayBack(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds)
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.must(w.write("3.2.0"))
	w.replaying(func(r *aRound) { r.fails = true })
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		w.kubelet.wait(warmPause)
		return conditionOf(r, v1alpha1.ConditionRollbackReady).Reason == v1alpha1.ReasonRoundFailed
	})
	if !isTrue(release, v1alpha1.ConditionReady) || !strings.Contains(conditionOf(release, v1alpha1.ConditionRollbackReady).Message, "cannot come back") {
		t.Errorf("it says\n%s", w.told())
	}
	w.must(w.write("3.2.0"))
}
