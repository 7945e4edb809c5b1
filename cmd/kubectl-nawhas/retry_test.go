package main

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestRetryOfAVersionThatWasSentBack(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", sentBack)
	r.run("status").expect(t, 0, "3.2.0  warm       nawhas_v3_2_0   sent back", "● version 3.2.0 was sent back; raise spec.retry to 1")
	r.run("rollback", "--hold").expect(t, exitFailed, "version 3.2.0 was sent back already, and version 3.1.2 is live")
	r.run("retry").expect(t, 0, "spec.retry is 1")
	if retry := r.get("nawhas").Spec.Retry; retry != 1 {
		t.Errorf("spec.retry is %d", retry)
	}
}

func TestRetryOfAStepOfASuspendedRelease(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed", suspended)
	job := r.job("verify")
	r.fail(job)
	r.run("retry").expect(t, exitFailed, "suspended, so that no step is begun", "kubectl nawhas resume nawhas")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(job), job); err != nil || !job.DeletionTimestamp.IsZero() {
		t.Errorf("its Job was deleted: %v", err)
	}
}

func TestRetryOfAStep(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	r.run("retry").expect(t, exitFailed, "nothing of version 3.2.0 has failed")
	job := r.job("verify")
	r.fail(job)

	r.run("retry", "--dry-run").expect(t, 0, "nothing was changed")
	r.run("retry").expect(t, 0, "step verify is tried again")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(job), job); !apierrors.IsNotFound(err) && job.DeletionTimestamp.IsZero() {
		t.Errorf("the failed Job is still there: %v", err)
	}
}

// failing makes of a release one of which a stage says why it does not go on.
func failing(stage, reason string) func(*v1alpha1.NawhasRelease) {
	return func(release *v1alpha1.NawhasRelease) {
		for i := range release.Status.Conditions {
			if c := &release.Status.Conditions[i]; c.Type == stage {
				c.Status, c.Reason = metav1.ConditionFalse, reason
			}
		}
	}
}

// The Job of a round must stay: its loss is a failure, and a candidate is built
// anew only by spec.retry. The same is true of evidence that was refused.
func TestRetryOfWhatNoDeletedJobWouldMend(t *testing.T) {
	for reason, stage := range map[string]string{v1alpha1.ReasonRoundFailed: v1alpha1.ConditionReplayed, v1alpha1.ReasonEvidenceRefused: v1alpha1.ConditionVerified} {
		t.Run(reason, func(t *testing.T) {
			r := newRoom(t)
			r.recorded("failed", failing(stage, reason))
			for _, stage := range []string{"round", "drained"} {
				r.fail(r.job(stage))
			}
			r.run("retry").expect(t, 0, "version 3.2.0 is tried again (spec.retry is 1)")
			if retry := r.get("nawhas").Spec.Retry; retry != 1 {
				t.Errorf("spec.retry is %d", retry)
			}
			for _, stage := range []string{"round", "drained"} {
				job := &batchv1.Job{}
				if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "nawhas-" + stage}, job); err != nil || !job.DeletionTimestamp.IsZero() {
					t.Errorf("the Job of %s was deleted: %v", stage, err)
				}
			}
		})
	}
}

// A pod that cannot start has not failed: its Job is made anew by spec.retry, and
// not by a deletion.
func TestRetryOfAStepThatCannotStart(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed", failing(v1alpha1.ConditionVerified, v1alpha1.ReasonPodFailing))
	r.run("retry").expect(t, 0, "version 3.2.0 is tried again (spec.retry is 1)")
}

// A version that was live before is not built anew, whatever spec.retry is.
func TestRetryOfAFailedRoundThatNobodyCanMend(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", failing(v1alpha1.ConditionReplayed, v1alpha1.ReasonRoundFailed))
	r.fail(r.job("round"))
	r.run("retry").expect(t, exitFailed, "nothing of version 3.2.0 has failed that could be tried again")
}

func TestRetryOfARoundWhereFluxOwnsIt(t *testing.T) {
	r := newRoom(t)
	release := r.recorded("failed", failing(v1alpha1.ConditionReplayed, v1alpha1.ReasonRoundFailed))
	owned := client.MergeFrom(release.DeepCopy())
	release.Spec.Retry = 3
	r.must(cluster.Patch(t.Context(), release, owned, client.FieldOwner("kustomize-controller")))
	r.run("retry").expect(t, exitFailed, "Flux owns spec.retry", "Set spec.retry: 4 there")
}

// fail has a Job failed for good.
func (r *room) fail(job *batchv1.Job) {
	r.t.Helper()
	job.Status.StartTime = &metav1.Time{Time: job.CreationTimestamp.Time}
	for _, condition := range []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
	}
	r.must(cluster.Status().Update(r.t.Context(), job))
}

func (r *room) job(stage string) *batchv1.Job {
	r.t.Helper()
	labels := map[string]string{v1alpha1.LabelRelease: "nawhas", v1alpha1.LabelVersion: "3.2.0", v1alpha1.LabelStage: stage}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "nawhas-" + stage, Labels: labels},
		Spec: batchv1.JobSpec{Template: template(labels)}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	r.must(cluster.Create(r.t.Context(), job))
	return job
}

// A Job that failed before its stage was passed, or while the version was live at
// another time, is nothing that a retry could mend.
func TestRetryOfWhatHasNotFailed(t *testing.T) {
	for step, recording := range map[string]string{"replay": "failed", "observe": "switched"} {
		t.Run(step, func(t *testing.T) {
			r := newRoom(t)
			r.recorded(recording)
			job := r.job(step)
			r.fail(job)
			r.run("retry").expect(t, exitFailed, "nothing of version 3.2.0 has failed that could be tried again")
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(job), job); err != nil || !job.DeletionTimestamp.IsZero() {
				t.Errorf("its Job was deleted: %v", err)
			}
		})
	}
}

func TestRetryLeavesTheReplayWhenTheVerificationFailed(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	replay, verification := r.job("replay"), r.job("verify")
	r.fail(replay)
	r.fail(verification)
	r.run("retry").expect(t, 0, "step verify is tried again")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(replay), replay); err != nil || !replay.DeletionTimestamp.IsZero() {
		t.Errorf("the Job of the replay was deleted: %v", err)
	}
}

func TestRetryOfAVerificationWhileTheVersionIsWatched(t *testing.T) {
	r := newRoom(t)
	r.recorded("watched")
	r.fail(r.job("observe"))
	r.run("retry").expect(t, 0, "step observe is tried again")
}
