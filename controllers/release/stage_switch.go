package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// watermarkPatience bounds how long one pass waits for the writers of the log.
const watermarkPatience = 3 * time.Second

// markAge is the age at which a watermark is drawn again before the switch.
const markAge = time.Minute

// switchStage makes the version live. It owns Switched.
//
// The order is what makes it safe to end in between: the watermark W1 is
// reached, then the ledger says who is live, then the version may append, then
// the Services lead to it, and at last the nodes' endpoints do. Whoever comes
// after a crash goes on from the ledger. Mode Strict does the first of these in
// one transaction that keeps all writers waiting.
type switchStage struct{ *Reconciler }

func (switchStage) condition() string { return v1alpha1.ConditionSwitched }

func (st switchStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	if s.target.Role != ledger.Live {
		result, err := st.take(ctx, s)
		if err != nil || !result.passed {
			return result, err
		}
	}
	v := s.target
	if !s.canAppend(v) {
		if err := s.allowAppending(ctx, v); err != nil {
			return outcome{}, err
		}
	}
	if err := st.ensureServices(ctx, s, v); err != nil {
		return outcome{}, err
	}
	return st.arrive(ctx, s, v)
}

// arrive passes the stage when the nodes' endpoints lead to a live version.
func (switchStage) arrive(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	if !v.Passed(v1alpha1.ConditionSwitched) {
		if message := s.unreached(v); message != "" {
			return waiting(v1alpha1.ReasonSwitching, message, pollFast), nil
		}
		if err := s.ledger.PassStage(ctx, v, v1alpha1.ConditionSwitched, map[string]int64{"checkpoint": v.Checkpoint.Position}); err != nil {
			return outcome{}, err
		}
		if err := s.reload(ctx); err != nil {
			return outcome{}, err
		}
	}
	return passed("the Services lead to version " + v.Version), nil
}

// take waits for the gates and makes the version live in the ledger.
func (st switchStage) take(ctx context.Context, s *scope) (outcome, error) {
	if result, err := st.holdToEvidence(ctx, s); err != nil || !result.passed {
		return result, err
	}
	if problem := s.stuck(); problem != nil {
		return *problem, nil
	}
	if problem := unsound(s.target); problem != nil {
		return *problem, nil
	}
	if problem := s.unsuitableNow(); problem != nil {
		return *problem, nil
	}
	if s.awaitsApproval() {
		return s.atRestIfFollowed(waiting(v1alpha1.ReasonAwaitingApproval, fmt.Sprintf("version %s is ready; set spec.promotion.approved to %q to let it go live", s.target.Version, s.target.Version), pollSlow)), nil
	}
	if err := s.begin(ctx, v1alpha1.ConditionSwitched); err != nil {
		return outcome{}, err
	}
	if s.plans[s.target.Version].inRounds() {
		return st.takeStrictly(ctx, s) // its last round is a part of the switch
	}
	if markStale(s.target, s.now) {
		if err := st.mark(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	// Drawing the mark may have taken seconds. A database can be at the mark, and its
	// follower stand before the next event that it cannot apply.
	if problem := s.stuck(); problem != nil {
		return *problem, nil
	}
	if s.target.Checkpoint.Position < *s.target.Mark {
		return waiting(v1alpha1.ReasonSwitching, fmt.Sprintf("waiting until the database has applied position %d; it is at %d", *s.target.Mark, s.target.Checkpoint.Position), pollFast), nil
	}
	if result := judgeAudit(s.target); !result.passed {
		return result, nil
	}
	if s.strict() {
		return st.takeStrictly(ctx, s)
	}
	return st.makeLive(ctx, s)
}

// makeLive records the switch, and goes by what the ledger says afterwards: the answer
// to a COMMIT that was carried out may be lost.
func (switchStage) makeLive(ctx context.Context, s *scope) (outcome, error) {
	err := s.ledger.Switch(ctx, s.target)
	if reloadErr := s.reload(ctx); reloadErr != nil {
		s.outdated = true
		return outcome{}, errors.Join(err, reloadErr)
	}
	if err != nil && (s.target == nil || s.target.Role != ledger.Live) {
		return outcome{}, err
	}
	return passed(""), nil
}

// awaitsApproval reports whether somebody has to let the target go live.
func (s *scope) awaitsApproval() bool {
	promotion := s.release.Spec.Promotion
	return s.choice.instead == nil && promotion.Mode == v1alpha1.PromotionManual && promotion.Approved != s.target.Version
}

// atRestIfFollowed marks what waits for a person, unless the database needs a
// round now and then meanwhile.
func (s *scope) atRestIfFollowed(result outcome) outcome {
	if s.plans[s.target.Version].inRounds() {
		return result
	}
	return atRest(result)
}

// mark draws the watermark W1: every event that was committed before is at or
// below it.
func (st switchStage) mark(ctx context.Context, s *scope) error {
	bounded, cancel := context.WithTimeout(ctx, watermarkPatience)
	defer cancel()
	watermark, err := s.log.Watermark(bounded, s.sourcePool)
	if err != nil {
		return s.onSource(err)
	}
	if err := s.ledger.Mark(ctx, s.target, watermark); err != nil {
		return err
	}
	return s.reload(ctx)
}

func markStale(v *ledger.Version, now time.Time) bool {
	return v.Mark == nil || v.MarkedAt == nil || now.Sub(*v.MarkedAt) > markAge
}
