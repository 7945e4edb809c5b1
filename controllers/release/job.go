package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// Exit codes of the steps that another try cannot mend (docs/contract.md).
const (
	exitPoison   = 3
	exitUnproven = 4
)

// A failed Job is made again after a while, because what made it fail may be
// over: at first after firstRetry, then twice as long each time.
const (
	firstRetry = 30 * time.Second
	lastRetry  = 10 * time.Minute
)

const (
	annotationAttempt = "releases.nawhas.com/attempt"
	// annotationRetry is spec.retry when the Job was made.
	annotationRetry = "releases.nawhas.com/retry"
)

// step is a stage that is one Job.
type step struct {
	// of is the version that the Job is for, nil for the target.
	of      *ledger.Version
	name    string
	command []string
	spec    v1alpha1.StepSpec
	timeout *metav1.Duration
	// side is whose credentials the step gets, the owner-side role's if it is empty.
	side string
	// log is the database that the step is shown as the source, the source itself
	// if it is empty. It lies on the databases server.
	log string
	// env are variables that only this step gets.
	env []corev1.EnvVar
	// once says that the step is not repeated, whatever becomes of its pod.
	once bool
	// before is done before the step's Job is made, and may be done again.
	before func(context.Context) error
	// refused says why what a complete Job proves does not count, "" when it does,
	// by what the ledger says now. Nil when it always counts.
	refused func(context.Context, progress) (string, error)
}

// progress is where a step's Job is.
type progress struct {
	job *batchv1.Job
	verdict
	// retryAt is when a failed Job is made again.
	retryAt time.Time
}

// runJob has the step's Job made, unless it exists, and judges it.
func (r *Reconciler) runJob(ctx context.Context, s *scope, current step) (progress, error) {
	p := s.plans[s.target.Version]
	existing := latestJob(s.jobs, s.target, current.name)
	attempt := 1
	if existing != nil {
		state := progress{job: existing, verdict: judgeJob(existing, s.podsOf(existing))}
		again, err := r.madeAgain(ctx, s, p, current, &state)
		if err != nil || !again {
			return state, err
		}
		attempt = attemptOf(existing) + 1
		if err := r.remove(ctx, existing); err != nil {
			return progress{}, err
		}
	}
	job, err := r.renderStep(ctx, s, p, current, attempt)
	if err != nil {
		return progress{}, err
	}
	if current.before != nil {
		if err := current.before(ctx); err != nil {
			return progress{}, err
		}
	}
	return progress{}, r.apply(ctx, s, job)
}

// retryAsked reports whether somebody raised spec.retry after a Job was made: it
// is made again at once when it failed or cannot start, or when what it proved is
// refused. One that came to a good end is not. A Job that does not say when it was
// made is an older operator's.
func retryAsked(job *batchv1.Job, retry int64) bool {
	then, err := strconv.ParseInt(job.Annotations[annotationRetry], 10, 64)
	return err == nil && retry > then
}

// outdated reports whether a Job proves nothing any more: it runs another image
// than the plan's, or was told other things than the step says now, because they
// were corrected; or it verified the version before the version was live and sent
// back. Variables that an older operator did not know make no difference.
func outdated(job *batchv1.Job, p *plan, v *ledger.Version, current step) bool {
	container := job.Spec.Template.Spec.Containers[0]
	if container.Image != p.image() || current.name == verifyStep && livesOf(job) != v.Drains ||
		current.name == replayStep && (variable(container.Env, skipEventsVariable) != strings.Join(p.Replay.SkipEvents, ",") || variable(container.Env, maxRateVariable) != maxRate(p)) {
		return true
	}
	return slices.ContainsFunc(current.env, func(wanted corev1.EnvVar) bool {
		known := slices.ContainsFunc(container.Env, func(had corev1.EnvVar) bool { return had.Name == wanted.Name })
		return known && variable(container.Env, wanted.Name) != wanted.Value
	})
}

func variable(env []corev1.EnvVar, name string) string {
	for i := range env {
		if env[i].Name == name {
			return env[i].Value
		}
	}
	return ""
}

// livesOf is how often the version had been live when the Job was made.
func livesOf(job *batchv1.Job) int32 {
	lives, err := strconv.ParseInt(job.Annotations[v1alpha1.AnnotationDrained], 10, 32)
	if err != nil {
		return 0
	}
	return int32(lives)
}

func latestJob(jobs []batchv1.Job, v *ledger.Version, name string) *batchv1.Job {
	var latest *batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		if job.Labels[v1alpha1.LabelStage] != name || job.Annotations[v1alpha1.AnnotationBuild] != v.Build.String() || !job.DeletionTimestamp.IsZero() {
			continue
		}
		if latest == nil || attemptOf(latest) < attemptOf(job) || latest.CreationTimestamp.Before(&job.CreationTimestamp) {
			latest = job
		}
	}
	return latest
}

func attemptOf(job *batchv1.Job) int {
	attempt, err := strconv.Atoi(job.Annotations[annotationAttempt])
	if err != nil {
		return 1
	}
	return attempt
}

// retryAt is when a failed Job is made again.
func retryAt(job *batchv1.Job, now time.Time) time.Time {
	delay := firstRetry
	for range attemptOf(job) - 1 {
		delay = min(2*delay, lastRetry)
	}
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed {
			return condition.LastTransitionTime.Add(delay)
		}
	}
	return now.Add(delay)
}

func (s *scope) podsOf(job *batchv1.Job) []corev1.Pod {
	var own []corev1.Pod
	for _, pod := range s.pods {
		if metav1.IsControlledBy(&pod, job) {
			own = append(own, pod)
		}
	}
	return own
}

func (r *Reconciler) renderJob(ctx context.Context, s *scope, p *plan, current step, attempt int) (*batchv1.Job, error) {
	v := current.of
	if v == nil {
		v = s.target
	}
	c, err := r.loadCredentials(ctx, s, v, firstOf(current.side, ownerSide))
	if err != nil {
		return nil, err
	}
	labels := merged(labelsOf(s, v), map[string]string{v1alpha1.LabelStage: current.name})
	template := stepTemplate(p, current.command, current.spec.Resources)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	equip(&template, s, v, p, c, labels)
	container := &template.Spec.Containers[0]
	if current.log != "" {
		container.Env = s.shown(container.Env, current.log)
	}
	container.Env = append(container.Env, corev1.EnvVar{Name: "NAWHAS_JOB_UID", ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"},
	}})
	container.Env = append(container.Env, current.env...)
	job := &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: s.objectMeta(objectName(s.release.Name, current.name, v.Version, v.Build.String()[:8], strconv.Itoa(attempt)), labels),
		Spec: batchv1.JobSpec{
			BackoffLimit: current.spec.BackoffLimit,
			Template:     template,
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
				{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				}},
				{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{exitPoison, exitUnproven},
				}},
			}},
		},
	}
	if current.once {
		job.Spec.BackoffLimit, job.Spec.PodFailurePolicy = ptr.To(int32(0)), nil
	}
	if current.timeout != nil {
		job.Spec.ActiveDeadlineSeconds = ptr.To(int64(current.timeout.Seconds()))
	}
	job.Annotations = map[string]string{v1alpha1.AnnotationBuild: v.Build.String(), annotationAttempt: strconv.Itoa(attempt),
		annotationRetry: strconv.FormatInt(s.release.Spec.Retry, 10)}
	if v.Drains > 0 {
		job.Annotations[v1alpha1.AnnotationDrained] = strconv.Itoa(int(v.Drains))
	}
	return job, nil
}

// remove deletes a Job with its pods. It may be gone already.
func (r *Reconciler) remove(ctx context.Context, object client.Object) error {
	uid := object.GetUID()
	err := r.Client.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", object.GetName(), err)
	}
	return nil
}

// describeFailure is the outcome of a step whose Job does not go on.
func describeFailure(s *scope, state progress) outcome {
	if state.retryAt.IsZero() {
		return blocked(state.reason, state.message, 0)
	}
	message := fmt.Sprintf("%s; tried again at %s, or at once when spec.retry is raised to %d",
		state.message, state.retryAt.UTC().Format(time.TimeOnly+" MST"), s.release.Spec.Retry+1)
	return blocked(state.reason, message, max(state.retryAt.Sub(s.now), time.Second))
}
