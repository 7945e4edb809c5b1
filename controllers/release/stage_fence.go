package release

import (
	"context"
	"fmt"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// fenceStage closes the pen of every version that is no longer live: its pods
// that ever received traffic are replaced, its right to append is taken, and
// none of its transactions is left in the log. It owns Fenced.
type fenceStage struct{ *Reconciler }

func (fenceStage) condition() string { return v1alpha1.ConditionFenced }

func (st fenceStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	if s.target.Passed(v1alpha1.ConditionFenced) && !st.othersCanAppend(s) {
		return passed("no other version can append to the log"), nil
	}
	if err := s.ledger.StartStage(ctx, s.target, v1alpha1.ConditionFenced); err != nil {
		return outcome{}, err
	}
	for _, v := range s.versions {
		if v == s.target || !s.canAppend(v) && s.target.Passed(v1alpha1.ConditionFenced) {
			continue
		}
		if result, err := st.fence(ctx, s, v); err != nil || !result.passed {
			return result, err
		}
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionFenced, map[string]int{"versions": len(s.versions) - 1}); err != nil {
		return outcome{}, err
	}
	return passed("no other version can append to the log"), s.reload(ctx)
}

func (st fenceStage) othersCanAppend(s *scope) bool {
	for _, v := range s.versions {
		if v != s.target && s.canAppend(v) {
			return true
		}
	}
	return false
}

// fence takes a version's right to append, after its pods drained.
func (st fenceStage) fence(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	if s.canAppend(v) {
		if left := s.undrained(v); left != "" {
			return waiting(v1alpha1.ReasonDraining, fmt.Sprintf("waiting until the pods of version %s that received traffic are gone (%s)", v.Version, left), pollFast), nil
		}
		if err := s.log.ForbidAppending(ctx, s.sourcePool, v.AppRole); err != nil {
			return outcome{}, s.onSource(err)
		}
		still, err := s.log.Appenders(ctx, s.sourcePool, []string{v.AppRole})
		if err != nil {
			return outcome{}, s.onSource(err)
		}
		if len(still) > 0 {
			return blocked(v1alpha1.ReasonOthersCanAppend, fmt.Sprintf(
				"role %s can still append to the log, by a grant of another role or a membership; revoke it as the one who granted it", v.AppRole), pollSlow), nil
		}
	}
	return st.settle(ctx, s, v)
}

// settle waits for the transactions that appended before the right was taken,
// and ends those that last longer than drainTimeout.
func (st fenceStage) settle(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	holders, err := s.log.HoldersOf(ctx, s.sourcePool, v.AppRole)
	if err != nil {
		return outcome{}, s.onSource(err)
	}
	if len(holders) == 0 {
		return passed(""), nil
	}
	oldest := oldestOf(holders)
	if timeout := s.release.Spec.Cutover.DrainTimeout; timeout != nil && oldest.Age() > timeout.Duration {
		if _, err := versiondb.EndSessions(ctx, s.sourcePool, v.AppRole); err != nil {
			return outcome{}, s.onSource(err)
		}
		st.event(s, eventWarning, "StragglersEnded", fmt.Sprintf("ended %d sessions of version %s that kept the log open", len(holders), v.Version))
	}
	return waiting(v1alpha1.ReasonDraining, fmt.Sprintf("session %d of version %s has appended to the log and not finished for %s", oldest.PID, v.Version, oldest.Age().Round(time.Second)), pollFast), nil
}

func oldestOf(holders []eventlog.Holder) eventlog.Holder {
	oldest := holders[0]
	for _, holder := range holders[1:] {
		if holder.Age() > oldest.Age() {
			oldest = holder
		}
	}
	return oldest
}
