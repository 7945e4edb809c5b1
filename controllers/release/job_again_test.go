package release

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Nobody waits for the timeout of a step whose pod cannot start.
func TestAStepThatCannotStartGoesOnWhenTheSpecIsCorrected(t *testing.T) {
	for name, c := range map[string]struct {
		unfit   func(job *batchv1.Job) bool
		correct func(r *v1alpha1.NawhasRelease)
	}{
		"its resources": {
			func(job *batchv1.Job) bool {
				asked := job.Spec.Template.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory]
				return asked.Cmp(resource.MustParse("1Ti")) > 0
			},
			func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.Resources.Requests = memory("1Gi") },
		},
		"its pull Secrets": {
			func(job *batchv1.Job) bool {
				return job.Labels[v1alpha1.LabelStage] == replayStep && len(job.Spec.Template.Spec.ImagePullSecrets) == 0
			},
			func(r *v1alpha1.NawhasRelease) {
				r.Spec.Image.PullSecrets = []v1alpha1.SecretReference{{Name: "registry"}}
			},
		},
		"nothing but a retry": {
			func(job *batchv1.Job) bool {
				return job.Labels[v1alpha1.LabelStage] == replayStep && job.Annotations[annotationRetry] == "0"
			},
			func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.kubelet.unfit = c.unfit
			w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.Resources.Requests = memory("2Ti") })
			release := w.until("stuck", stalledFor(v1alpha1.ReasonPodFailing))
			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "correct the resources or the node selector in the spec") {
				t.Errorf("it does not say what to do: %s", message)
			}
			w.writesNothing()

			w.update(c.correct)
			w.until("live", isLive("3.1.2"))
		})
	}
}

// What was corrected is there for the next try.
func TestAStepThatRunsIsNotBegunAnew(t *testing.T) {
	w := newWorld(t)
	w.kubelet.does = func(stage string) bool { return stage != replayStep }
	w.newRelease()
	w.until("replaying", readyFor(v1alpha1.ReasonReplaying))
	job := w.jobOf(replayStep)
	w.kubelet.look()
	w.kubelet.pod(job, "Job", job.Spec.Template, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})

	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Resources.Requests, r.Spec.Retry = memory("1Gi"), 1
	})
	w.settle()
	w.reconciler.Live = cluster
	if still, err := w.reconciler.still(t.Context(), &scope{}, job, hasRun); err != nil || still {
		t.Errorf("a cache that does not know its pod yet is believed: %v", err)
	}

	if now := w.jobOf(replayStep); now.UID != job.UID {
		t.Errorf("Job %s made way for %s", job.Name, now.Name)
	}
}

// A replay may take hours: somebody who raises spec.retry meanwhile does not have it
// begun anew when it has come to a good end.
func TestAStepThatCameToAGoodEndIsNotTriedAgain(t *testing.T) {
	for _, stage := range []string{"migrate", replayStep, verifyStep} {
		t.Run(stage, func(t *testing.T) {
			w := newWorld(t)
			w.kubelet.does = func(other string) bool { return other != stage }
			w.newRelease()
			w.until("begun", func(*v1alpha1.NawhasRelease) bool {
				return slices.ContainsFunc(w.jobs("3.1.2"), func(name string) bool { return strings.Contains(name, "-"+stage+"-") })
			})
			job := w.jobOf(stage)
			w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
			w.kubelet.does = nil
			w.kubelet.work()

			w.until("live", isLive("3.1.2"))

			if now := w.jobOf(stage); now.UID != job.UID {
				t.Errorf("Job %s was made again as %s", job.Name, now.Name)
			}
		})
	}
}

// What a complete Job does not prove is proven again when somebody asks for it.
func TestAProofThatWasRefusedIsMadeAgainWhenRetryIsRaised(t *testing.T) {
	w := newWorld(t)
	w.kubelet.reports(func(r *report) { r.Job = "another" })
	w.newRelease()
	w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonEvidenceRefused
	})
	replay, refused := w.jobOf(replayStep), w.jobOf(verifyStep)
	w.kubelet.reports(func(*report) {})
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
	w.until("live", isLive("3.1.2"))
	if w.jobOf(replayStep).UID != replay.UID || w.jobOf(verifyStep).UID == refused.UID {
		t.Errorf("the Jobs are %v", w.jobs("3.1.2"))
	}
}

// jobOf is the only Job of a step.
func (w *world) jobOf(stage string) *batchv1.Job {
	w.t.Helper()
	w.kubelet.look()
	var found []*batchv1.Job
	for i := range w.kubelet.seen.jobs {
		if job := &w.kubelet.seen.jobs[i]; job.Labels[v1alpha1.LabelStage] == stage && job.DeletionTimestamp.IsZero() {
			found = append(found, job)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d Jobs of step %s", len(found), stage)
	}
	return found[0]
}

func TestHasRun(t *testing.T) {
	pod := func(phase corev1.PodPhase, states ...corev1.ContainerState) []corev1.Pod {
		made := corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		for _, state := range states {
			made.Status.ContainerStatuses = append(made.Status.ContainerStatuses, corev1.ContainerStatus{State: state})
		}
		return []corev1.Pod{made}
	}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}
	for name, c := range map[string]struct {
		status batchv1.JobStatus
		pods   []corev1.Pod
		runs   bool
		hasRun bool
	}{
		"no pod":                      {batchv1.JobStatus{}, nil, false, false},
		"no node":                     {batchv1.JobStatus{Active: 1, Ready: ptr.To(int32(0))}, pod(corev1.PodPending), false, false},
		"no image":                    {batchv1.JobStatus{Active: 1}, pod(corev1.PodPending, waits), false, false},
		"at work":                     {batchv1.JobStatus{Active: 1}, pod(corev1.PodRunning), true, true},
		"at work, its phase is late":  {batchv1.JobStatus{Active: 1}, pod(corev1.PodPending, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), true, true},
		"at work, its pod not listed": {batchv1.JobStatus{Active: 1, Ready: ptr.To(int32(1))}, nil, true, true},
		"a try failed, another waits": {batchv1.JobStatus{Active: 1, Failed: 1}, pod(corev1.PodPending, waits), false, true},
		"ended, not counted yet":      {batchv1.JobStatus{UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"1"}}}, nil, false, true},
		"ended, Job not told yet":     {batchv1.JobStatus{Active: 1}, pod(corev1.PodSucceeded), false, true},
		"lost with its node":          {batchv1.JobStatus{Active: 1}, pod(corev1.PodUnknown), false, true},
	} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "replay"}, Status: c.status}
		if runs(job, c.pods) != c.runs || hasRun(job, c.pods) != c.hasRun {
			t.Errorf("%s: runs %t, has run %t", name, runs(job, c.pods), hasRun(job, c.pods))
		}
	}
}
