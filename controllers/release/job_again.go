package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// madeAgain reports whether a step's Job makes way for another one: what it proves
// is out of date, it failed and it is time, or it cannot start and would as it is
// rendered now, or as somebody asked for. One that is complete stays, also when
// somebody asked while it ran, unless its proof is refused. For one that failed it
// says when it is time.
func (r *Reconciler) madeAgain(ctx context.Context, s *scope, p *plan, current step, state *progress) (bool, error) {
	job, asked := state.job, retryAsked(state.job, s.release.Spec.Retry)
	switch {
	case outdated(job, p, s.target, current):
		return true, nil
	case state.failed:
		state.retryAt = retryAt(job, s.now)
		return asked || !state.retryAt.After(s.now), nil
	case state.done && asked && current.refused != nil:
		problem, err := current.refused(ctx, *state)
		return problem != "", err
	case state.done:
		return false, nil
	case asked && state.reason != "":
		return r.still(ctx, s, job, runs)
	case hasRun(job, s.podsOf(job)):
		return false, nil
	}
	return r.startsOtherwise(ctx, s, p, current, job)
}

// startsOtherwise reports whether a Job that has not run would be another one by
// now, because the spec was corrected. One of an older operator does not say what
// it was made of.
func (r *Reconciler) startsOtherwise(ctx context.Context, s *scope, p *plan, current step, job *batchv1.Job) (bool, error) {
	made := job.Annotations[v1alpha1.AnnotationInputs]
	if made == "" {
		return false, nil
	}
	wanted, err := r.renderStep(ctx, s, p, current, attemptOf(job))
	if err != nil || wanted.Annotations[v1alpha1.AnnotationInputs] == made {
		return false, err
	}
	return r.still(ctx, s, job, hasRun)
}

// renderStep renders a step's Job with a digest of what it shall do in it. Its name
// and the number of the try make no difference.
func (r *Reconciler) renderStep(ctx context.Context, s *scope, p *plan, current step, attempt int) (*batchv1.Job, error) {
	job, err := r.renderJob(ctx, s, p, current, attempt)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(job.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", describe(job), err)
	}
	job.Annotations[v1alpha1.AnnotationInputs] = digestOf(data)
	return job, nil
}

// still reports whether a Job does not make the progress that is asked about. A
// cache may be behind, and a step that makes progress must not be begun anew, so
// that the API server is asked too.
func (r *Reconciler) still(ctx context.Context, s *scope, job *batchv1.Job, progressed func(*batchv1.Job, []corev1.Pod) bool) (bool, error) {
	if progressed(job, s.podsOf(job)) || r.Live == nil {
		return !progressed(job, s.podsOf(job)), nil
	}
	present, pods := &batchv1.Job{}, &corev1.PodList{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), present)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Job %s: %w", job.Name, err)
	}
	if err := r.Live.List(ctx, pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return false, fmt.Errorf("list the pods of Job %s: %w", job.Name, err)
	}
	return present.UID == job.UID && !progressed(present, pods.Items), nil
}

// runs reports whether a pod of a Job is at work.
func runs(job *batchv1.Job, pods []corev1.Pod) bool {
	return ptr.Deref(job.Status.Ready, 0) > 0 || slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		return pod.Status.Phase == corev1.PodRunning ||
			slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool { return status.State.Running != nil })
	})
}

// hasRun reports whether a pod of a Job is at work, or has come to an end.
func hasRun(job *batchv1.Job, pods []corev1.Pod) bool {
	uncounted := ptr.Deref(job.Status.UncountedTerminatedPods, batchv1.UncountedTerminatedPods{})
	return runs(job, pods) || job.Status.Succeeded+job.Status.Failed > 0 || len(uncounted.Succeeded)+len(uncounted.Failed) > 0 ||
		slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
			phase := pod.Status.Phase
			return phase != "" && phase != corev1.PodPending ||
				slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
					return status.State.Terminated != nil || status.LastTerminationState.Terminated != nil
				})
		})
}
