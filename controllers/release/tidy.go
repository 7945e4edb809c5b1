package release

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// stageOfStep is the stage that the Job of a step passes.
var stageOfStep = map[string]string{
	"migrate": v1alpha1.ConditionMigrated, replayStep: v1alpha1.ConditionReplayed, verifyStep: v1alpha1.ConditionVerified, observeStep: observed,
}

// tidy removes what no version needs any more.
func (r *Reconciler) tidy(ctx context.Context, s *scope) error {
	if s.release.Spec.Suspend {
		return nil
	}
	if err := r.tidyServices(ctx, s); err != nil {
		return err
	}
	return r.tidyJobs(ctx, s)
}

// tidyServices removes the Services of workloads that no version has. Those that
// only a previous version has stay, with their addresses: it may come back.
func (r *Reconciler) tidyServices(ctx context.Context, s *scope) error {
	for _, v := range s.versions {
		if s.plans[v.Version] == nil {
			return nil // nobody knows what it needs
		}
	}
	for i := range s.services {
		if name := s.services[i].Name; s.owns(&s.services[i]) && !s.hasService(name) {
			if err := r.removeService(ctx, s, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasService reports whether a version has a Service of that name, or shows
// itself through it.
func (s *scope) hasService(name string) bool {
	for _, p := range s.plans {
		for i := range p.Workloads {
			service := p.Workloads[i].Service
			if service != nil && (name == service.Name || name == service.Name+previewSuffix) {
				return true
			}
		}
	}
	return false
}

// tidyJobs removes Jobs that have told what they had to tell, with their pods.
// The ledger keeps it.
func (r *Reconciler) tidyJobs(ctx context.Context, s *scope) error {
	keep := s.release.Spec.Retention.KeepJobsFor
	if keep == nil {
		return nil
	}
	for _, job := range disposable(s.jobs, s.versions, keep.Duration, s.now) {
		if err := r.remove(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// disposable are the Jobs that ended long enough ago and that nothing is judged
// by any more: their stage is passed, or the version that they watched is no
// longer live.
func disposable(jobs []batchv1.Job, versions []*ledger.Version, keep time.Duration, now time.Time) []*batchv1.Job {
	var old []*batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		v := builtBy(versions, job)
		if v == nil || !job.DeletionTimestamp.IsZero() {
			continue
		}
		step := job.Labels[v1alpha1.LabelStage]
		settled := v.Passed(stageOfStep[step]) || step == observeStep && v.Role != ledger.Live || step == drainedStep ||
			step == roundStep && (v.LastRound() == nil || v.LastRound().FinishedAt != nil)
		if end := endOf(job); settled && !end.IsZero() && now.Sub(end) >= keep {
			old = append(old, job)
		}
	}
	return old
}

func builtBy(versions []*ledger.Version, job *batchv1.Job) *ledger.Version {
	for _, v := range versions {
		if job.Annotations[v1alpha1.AnnotationBuild] == v.Build.String() {
			return v
		}
	}
	return nil
}

// endOf is when a Job came to its end, zero while it has not.
func endOf(job *batchv1.Job) time.Time {
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
