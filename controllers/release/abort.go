package release

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// aborted reports whether the spec gives up a version: it is named, wanted, and
// not live. What is live is gone back from, not given up.
func aborted(spec *v1alpha1.NawhasReleaseSpec, version string, versions []*ledger.Version) bool {
	return spec.Abort == version && spec.Version == version && !hasRole(versions, version, ledger.Live)
}

// obeyAbort is the choice when spec.version may be given up: what is live, or
// nothing while nothing is. An annotation that holds a version is stronger, and
// so is a way back that has begun.
func obeyAbort(made choice, spec *v1alpha1.NawhasReleaseSpec, versions []*ledger.Version) choice {
	if made.version != spec.Version || made.refused != nil {
		return made
	}
	var entry *ledger.Version
	for _, v := range versions {
		if v.Version == spec.Version {
			entry = v
		}
	}
	held := entry != nil && entry.Held != nil && entry.Role == ledger.Candidate
	if !held && !aborted(spec, spec.Version, versions) {
		return made
	}
	said := givenUp(spec)
	if live := liveOf(versions); live != nil {
		return choice{version: live.Version, instead: &said}
	}
	return choice{version: spec.Version, refused: &said}
}

// givenUp says what has become of a version that was given up, and how to try
// it again.
func givenUp(spec *v1alpha1.NawhasReleaseSpec) outcome {
	again := fmt.Sprintf("raise spec.retry to %d to try this one again", spec.Retry+1)
	if spec.Abort == spec.Version {
		again = fmt.Sprintf("take spec.abort away and %s", again)
	}
	return atRest(blocked(v1alpha1.ReasonAborted, fmt.Sprintf("version %s was given up and is held. Release another version, or %s", spec.Version, again), pollSlow))
}

// giveUp records that spec.abort gives a version up, so that it stays so when
// the field is gone.
func (r *Reconciler) giveUp(ctx context.Context, s *scope) error {
	spec := &s.release.Spec
	for _, v := range s.versions {
		if v.Held != nil || v.Role == ledger.Retiring || !aborted(spec, v.Version, s.versions) {
			continue
		}
		why := ledger.Held{At: s.now.UTC().Truncate(time.Second), Reason: v1alpha1.ReasonAborted, Message: "given up by spec.abort", Wanted: spec.Version, Retry: spec.Retry}
		if live := s.live(); live != nil {
			why.ReturnTo = live.Version
		}
		if err := s.ledger.GiveUp(ctx, v, why); err != nil {
			return err
		}
		return s.reload(ctx)
	}
	return nil
}

// stopJobs ends the Jobs of a version that was given up. Those that are finished
// stay: they tell why.
func (r *Reconciler) stopJobs(ctx context.Context, s *scope, v *ledger.Version) error {
	for i := range s.jobs {
		job := &s.jobs[i]
		if job.Annotations[v1alpha1.AnnotationBuild] != v.Build.String() || finished(job) || !job.DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.remove(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// finished reports whether a Job has come to its end, a good one or a bad one.
func finished(job *batchv1.Job) bool { return !endOf(job).IsZero() }
