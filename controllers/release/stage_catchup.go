package release

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// catchUpStage waits until the version is ready to take over: its follower at
// work and current, its pods ready. It must stay so until the version is live. It
// owns CaughtUp.
type catchUpStage struct{ *Reconciler }

func (catchUpStage) condition() string { return v1alpha1.ConditionCaughtUp }

func (st catchUpStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	v := s.target
	if s.plans[v.Version].inRounds() && v.Role != ledger.Live {
		return st.inRounds(ctx, s)
	}
	current := passed("the follower is current and the pods are ready")
	if v.Passed(v1alpha1.ConditionCaughtUp) && v.Role == ledger.Live {
		return current, nil
	}
	ready, problem, err := st.workloadsReady(ctx, s, v)
	if err != nil {
		return outcome{}, err
	}
	// While it waits to go live its pods may have gone, as those of a version that was held do,
	// or its follower come to what it cannot apply.
	runs := s.followerRuns(v)
	if v.Passed(v1alpha1.ConditionCaughtUp) && ready && runs && v.Checkpoint.Problem == nil {
		return current, nil
	}
	if problem.reason == "" && !runs {
		problem = s.podTrouble(v)
	}
	if err := s.beginAgain(ctx, v1alpha1.ConditionCaughtUp); err != nil {
		return outcome{}, err
	}
	if v.Checkpoint.Problem != nil {
		return *s.stuckAt(v), nil
	}
	if problem.reason != "" {
		return blocked(problem.reason, problem.message, 0), nil
	}
	maxLag := ptr.Deref(s.release.Spec.Cutover.MaxLag, 0)
	if lag := s.lag(v); lag > maxLag || !followed(v) {
		return waiting(v1alpha1.ReasonCatchingUp, fmt.Sprintf("%d events behind, at most %d are allowed", lag, maxLag), pollFast), nil
	}
	if !runs {
		return waiting(v1alpha1.ReasonStartingPods, "waiting for the version's follower to run", 0), nil
	}
	if !ready {
		return waiting(v1alpha1.ReasonStartingPods, "the follower is current; waiting for the version's pods", 0), nil
	}
	if err := s.ledger.PassStage(ctx, v, v1alpha1.ConditionCaughtUp, map[string]int64{"checkpoint": v.Checkpoint.Position, "head": s.head}); err != nil {
		return outcome{}, err
	}
	return current, s.reload(ctx)
}

// inRounds makes rounds until little is left, again and again while something
// else is waited for, but then not one after the other.
func (st catchUpStage) inRounds(ctx context.Context, s *scope) (outcome, error) {
	ready, problem, err := st.workloadsReady(ctx, s, s.target)
	if err != nil {
		return outcome{}, err
	}
	if !s.target.Passed(v1alpha1.ConditionCaughtUp) || !ready {
		if err := s.beginAgain(ctx, v1alpha1.ConditionCaughtUp); err != nil {
			return outcome{}, err
		}
	}
	if !s.mayWait(s.target, ready) {
		result, err := rounds(st).advance(ctx, s, s.target)
		if err != nil {
			return outcome{}, err
		}
		if !result.passed {
			if !result.stalled {
				result.reason = v1alpha1.ReasonCatchingUp
			}
			return result, nil
		}
	}
	switch {
	case problem.reason != "":
		return blocked(problem.reason, problem.message, 0), nil
	case !ready:
		return waiting(v1alpha1.ReasonStartingPods, "the database is current; waiting for the version's pods", pollProgress), nil
	case s.target.Passed(v1alpha1.ConditionCaughtUp):
		return passed("the database is current and the pods are ready"), nil
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionCaughtUp, map[string]int64{"checkpoint": s.target.Checkpoint.Position, "head": s.head}); err != nil {
		return outcome{}, err
	}
	return passed("the database is current and the pods are ready"), s.reload(ctx)
}

// mayWait reports whether a version whose last round ended a moment ago needs no
// other one yet, because it cannot go live anyhow.
func (s *scope) mayWait(v *ledger.Version, ready bool) bool {
	last := v.LastRound()
	if last == nil || last.FinishedAt == nil || v.Checkpoint.Problem != nil || s.now.Sub(*last.FinishedAt) > warmPause {
		return false
	}
	return !ready || s.awaitsApproval()
}

// followed reports whether the version's checkpoint was reported after its
// replay, so that its lag means something.
func followed(v *ledger.Version) bool {
	return v.Checkpoint.ReportedAt != nil && v.Checkpoint.Stage == replayComplete
}

// followerRuns reports whether a version's follower is at work, as far as the
// cluster knows. It need not report while nothing is appended: a last report that
// was good says nothing of a follower that has ended since.
func (s *scope) followerRuns(v *ledger.Version) bool {
	return slices.ContainsFunc(s.deployments, func(d appsv1.Deployment) bool {
		return d.Labels[v1alpha1.LabelVersion] == v.Version && d.Labels[v1alpha1.LabelStage] == followerName &&
			ptr.Deref(d.Spec.Replicas, 1) > 0 && rolledOut(&d)
	})
}
