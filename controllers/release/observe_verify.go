package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// observeStep names the Jobs that verify a version which went live.
const observeStep = "observe"

// reverification is what the verification of a version that is watched came to.
// Its message says why it has no say, as long as it is not done.
type reverification struct {
	verdict
	// asked says that there shall be one, refused that the API server does not make
	// its Job.
	asked, refused bool
}

// verifyAgain has the verification run once more while the version is watched,
// and judges it. It is one Job for each time that the version goes live. That there
// is none says nothing against the version, and keeps nobody from watching the rest.
func (r *Reconciler) verifyAgain(ctx context.Context, s *scope, v *ledger.Version) (reverification, error) {
	p, run, until := s.plans[v.Version], int(v.Drains)+1, s.observedUntil(v)
	for i := range s.jobs {
		job := &s.jobs[i]
		if job.Labels[v1alpha1.LabelStage] == observeStep && job.Annotations[v1alpha1.AnnotationBuild] == v.Build.String() &&
			job.Annotations[annotationAttempt] == strconv.Itoa(run) && job.DeletionTimestamp.IsZero() {
			found := judgeJob(job, s.podsOf(job))
			found.message = firstOf(found.message, fmt.Sprintf("Job %s did not end in time; give cutover.observe the time that it takes", job.Name))
			return reverification{verdict: found, asked: true}, nil
		}
	}
	if s.now.After(until) {
		return reverification{verdict: verdict{message: "there is no Job of it, because the API server refused it or the operator did not run"}, asked: true}, nil
	}
	job, err := r.renderJob(ctx, s, p, step{of: v, name: observeStep, command: p.Verify.Command, spec: p.Verify.StepSpec, timeout: p.Verify.Timeout, side: verifyingSide(p)}, run)
	if err != nil {
		return reverification{}, err
	}
	err = r.apply(ctx, s, job)
	if _, refused := errors.AsType[*apierrors.StatusError](err); refused && !unavailable(err) {
		return reverification{verdict: refusedVerification(v, until, err), asked: true, refused: true}, nil
	}
	return reverification{asked: true}, err
}

// refusedVerification tells that the API server does not make the Job.
func refusedVerification(v *ledger.Version, until time.Time, err error) verdict {
	problem := explain(err)
	return verdict{reason: problem.reason, message: fmt.Sprintf(
		"version %s cannot be verified while it is watched, and is not sent back for that: %s; the Job is tried again until %s, and the rest is watched meanwhile",
		v.Version, problem.message, until.UTC().Format(time.TimeOnly+" MST"))}
}
