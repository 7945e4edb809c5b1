package release

import (
	"context"
	"errors"
	"fmt"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// gatherAndWalk reads what there is, goes through the stages up to the first that has
// to wait, and looks after the versions that are there. What it could not read says why
// in the first stage's condition.
func (r *Reconciler) gatherAndWalk(ctx context.Context, s *scope) (outcome, error) {
	stages := r.stages()
	if err := r.gather(ctx, s); err != nil {
		if errors.Is(err, errBusy) {
			return outcome{}, err
		}
		problem := explain(err)
		way := blocked(problem.reason, problem.message, pollSlow)
		s.set(v1alpha1.ConditionDatabaseReady, way)
		s.fillMissing(stages[1:])
		return way, err
	}
	watched, err := r.watch(ctx, s)
	way := watched
	switch {
	case err != nil || s.choice.refused != nil:
	case s.halted():
		way = s.halt(stages)
	default:
		way, err = walk(ctx, s, stages)
	}
	if s.outdated {
		return s.resume(way, watched), err
	}
	if upkeepErr := r.upkeep(ctx, s); upkeepErr != nil && err == nil {
		problem := explain(upkeepErr)
		return blocked(problem.reason, problem.message, pollSlow), upkeepErr
	}
	return s.resume(way, watched), err
}

// watch observes the live version, unless nothing is to be sent back.
func (r *Reconciler) watch(ctx context.Context, s *scope) (outcome, error) {
	if s.release.Spec.Suspend {
		return passed(""), nil
	}
	watched, err := r.observe(ctx, s)
	if err != nil {
		problem := explain(err)
		watched = blocked(problem.reason, problem.message, pollSlow)
	}
	return watched, err
}

// resume is what the release has come to. When all stages are passed there may
// still be something to say: why another version than spec.version is live, or
// what is wrong with the one that is.
func (s *scope) resume(way, watched outcome) outcome {
	result := s.said(way, watched)
	if watched.again > 0 && (result.again == 0 || watched.again < result.again) {
		result.again = watched.again
	}
	return result
}

func (s *scope) said(way, watched outcome) outcome {
	if s.choice.refused != nil {
		return *s.choice.refused
	}
	if !way.passed {
		if s.choice.instead != nil && !way.paused {
			way.message = fmt.Sprintf("going back to version %s: %s", s.choice.version, way.message)
		}
		if refused := s.refusedImage(); refused != nil && s.choice.instead == nil {
			way.message += "; " + refused.message
		}
		return s.overdue(way)
	}
	for _, result := range []*outcome{&watched, s.choice.instead, s.stuck(), unsound(s.target), s.refusedImage(), s.exclusiveWaits()} {
		if result != nil && !result.passed {
			return s.overdue(*result)
		}
	}
	return way
}

// gather reads the cluster, then the databases, and settles what has to be settled
// before anything is decided.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	// First, because a pass for which there is no place comes to nothing else.
	unreadable := r.prepare(ctx, s)
	if errors.Is(unreadable, errBusy) {
		return unreadable
	}
	if err := r.gatherCluster(ctx, s); err != nil {
		return err
	}
	if err := r.loadPlans(ctx, s); err != nil {
		return err
	}
	if unreadable != nil {
		return unreadable
	}
	if err := r.check(ctx, s); err != nil {
		return err
	}
	if err := r.gatherDatabases(ctx, s); err != nil {
		return err
	}
	if err := r.keepPlans(ctx, s); err != nil {
		return err
	}
	if err := r.claim(ctx, s); err != nil {
		return err
	}
	if err := r.liftHolds(ctx, s); err != nil {
		return err
	}
	return r.giveUp(ctx, s)
}

func (r *Reconciler) stages() []stage {
	return []stage{databaseStage{r}, migrateStage{r}, replayStage{r}, verifyStage{r}, catchUpStage{r}, switchStage{r}, fenceStage{r}}
}
