package release

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// defaultProgressDeadline is the API's default, for objects that were stored
// before it had one.
const defaultProgressDeadline = 600

// patient are the reasons to wait that are somebody's wish.
var patient = []string{v1alpha1.ReasonAwaitingApproval, v1alpha1.ReasonSuspended, v1alpha1.ReasonDryRun}

// overdue turns an outcome that waits into one that is stalled, when it has
// waited for longer than the deadline. Nothing is ended: it goes on when it can.
func overdue(way outcome, since time.Time, deadline time.Duration, now time.Time) outcome {
	if way.passed || way.stalled || way.paused || since.IsZero() || slices.Contains(patient, way.reason) {
		return way
	}
	left := since.Add(deadline).Sub(now)
	if left > 0 {
		way.again = soonest(way.again, left)
		return way
	}
	return blocked(v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf(
		"no progress since %s, which is longer than progressDeadlineSeconds (%d): %s. It goes on by itself when it can",
		since.UTC().Format(time.RFC3339), int64(deadline.Seconds()), way.message), way.again)
}

// overdue applies the deadline of the spec to what the chosen version waits for.
func (s *scope) overdue(way outcome) outcome {
	deadline := int32(defaultProgressDeadline)
	if s.release.Spec.ProgressDeadlineSeconds != nil {
		deadline = *s.release.Spec.ProgressDeadlineSeconds
	}
	return overdue(way, s.progressedAt(), time.Duration(deadline)*time.Second, s.now)
}

// progressedAt is when the chosen version came to the stage at which it stands, or
// began its last Job or round, or now while a pod of the stage's step runs: the step has a timeout of its
// own. It is zero when there is no such stage.
func (s *scope) progressedAt() time.Time {
	if s.target == nil {
		return time.Time{}
	}
	if s.stepRuns() {
		return s.now
	}
	var since time.Time
	for _, stage := range s.target.Stages {
		if stage.StartedAt.After(since) {
			since = stage.StartedAt
		}
		if stage.FinishedAt != nil && stage.FinishedAt.After(since) {
			since = *stage.FinishedAt
		}
	}
	for i := range s.jobs {
		job := &s.jobs[i]
		if job.Annotations[v1alpha1.AnnotationBuild] == s.target.Build.String() && job.CreationTimestamp.After(since) {
			since = job.CreationTimestamp.Time
		}
	}
	if last := s.target.LastRound(); last != nil && last.StartedAt.After(since) {
		since = last.StartedAt
	}
	resumed := meta.FindStatusCondition(s.release.Status.Conditions, v1alpha1.ConditionSuspended)
	if resumed != nil && resumed.Status == metav1.ConditionFalse && resumed.LastTransitionTime.After(since) {
		since = resumed.LastTransitionTime.Time
	}
	return since
}

// stepRuns reports whether a pod of one of the chosen version's Jobs runs.
func (s *scope) stepRuns() bool {
	for i := range s.jobs {
		job := &s.jobs[i]
		if job.Annotations[v1alpha1.AnnotationBuild] != s.target.Build.String() || finished(job) {
			continue
		}
		for _, pod := range s.podsOf(job) {
			if pod.Status.Phase == corev1.PodRunning {
				return true
			}
		}
	}
	return false
}
