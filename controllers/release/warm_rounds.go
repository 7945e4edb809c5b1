package release

import (
	"context"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// keepInRounds keeps a warm version's database current, or only brings the round
// that is under way to its end. What its pods appended is in its database
// already, so that it waits until none of those is left that could still be
// projecting.
func (r *Reconciler) keepInRounds(ctx context.Context, s *scope, v *ledger.Version, keep bool) error {
	if v.Role != ledger.Warm || v == s.target || v.Checkpoint.Problem != nil {
		return nil
	}
	last := v.LastRound()
	underWay := last != nil && last.FinishedAt == nil
	switch {
	case underWay:
	case !keep || s.lag(v) == 0 || s.canAppend(v) || s.undrained(v) != "":
		return nil
	case last != nil && s.now.Sub(*last.FinishedAt) < warmPause:
		return nil
	default:
		if err := (rounds{r}).begin(ctx, s, v); err != nil {
			return err
		}
		v = s.known(v)
	}
	_, err := rounds{r}.goOn(ctx, s, v)
	return err
}

// warming reports whether a warm version is kept current in rounds and has
// something left to apply.
func (s *scope) warming(v *ledger.Version) bool {
	if v.Role != ledger.Warm || !s.plans[v.Version].inRounds() || v.Checkpoint.Problem != nil {
		return false
	}
	last := v.LastRound()
	if last != nil && last.FinishedAt == nil {
		return true
	}
	keep := keepingOf(&s.release.Spec)
	return s.lag(v) > 0 && needsOf(v, s.target, keep, isRecent(v, s.versions, keep.warm), s.now).follower
}
