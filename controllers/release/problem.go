package release

import (
	"fmt"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// diverged reports whether the version's database was built from another log.
func diverged(v *ledger.Version) bool {
	return v.Checkpoint.Problem != nil && v.Checkpoint.Problem.Kind == ledger.KindDiverged
}

// roundFailed reports whether nobody knows what the version's database holds.
func roundFailed(v *ledger.Version) bool {
	return v.Checkpoint.Problem != nil && v.Checkpoint.Problem.Kind == ledger.KindRound
}

// stuck is the trouble of a target whose follower cannot go on, nil when it can.
func (s *scope) stuck() *outcome {
	if s.target == nil || s.target.Checkpoint.Problem == nil {
		return nil
	}
	return s.stuckAt(s.target)
}

// stuckAt says why a version's replay or follower cannot go on, and what to do.
func (s *scope) stuckAt(v *ledger.Version) *outcome {
	problem := v.Checkpoint.Problem
	reason, remedy := v1alpha1.ReasonPoison, fmt.Sprintf("release a version that can, or pass over it with spec.replay.skipEvents: [%q]", problem.EventID)
	switch {
	case problem.Kind == ledger.KindRound:
		reason, remedy = v1alpha1.ReasonRoundFailed, "look at the log of its Job"
		if v.Role != ledger.Candidate {
			remedy += "; this version cannot come back: release a new one"
		}
	case problem.Kind == ledger.KindDiverged:
		reason, remedy = v1alpha1.ReasonDiverged, "release a new version, which is built from the log as it is"
	case problem.Kind == ledger.KindUnknown && v.LiveSince != nil:
		reason, remedy = v1alpha1.ReasonUnknownEvents, "set spec.rollback.unknownEvents to Skip to pass over such events, or release a version that knows them"
	}
	result := blocked(reason, fmt.Sprintf("version %s cannot go on: %s. What is live is not touched; %s", v.Version, problemOf(v), remedy), pollSlow)
	return &result
}

// problemOf says why a version's replay or follower cannot go on.
func problemOf(v *ledger.Version) string {
	problem := v.Checkpoint.Problem
	switch problem.Kind {
	case ledger.KindUnknown:
		return fmt.Sprintf("it does not know event %s (%s, version %d) at position %d, which a newer version has written",
			problem.EventID, problem.Name, problem.Version, problem.Position)
	case ledger.KindRound:
		return fmt.Sprintf("the round after position %d failed, and nobody knows what it left: %s", problem.Position, problem.Message)
	case ledger.KindDiverged:
		return fmt.Sprintf("its database was built from another log: they differ at position %d", problem.Position)
	}
	return fmt.Sprintf("event %s (%s, version %d) at position %d cannot be applied by projector %q: %s",
		problem.EventID, problem.Name, problem.Version, problem.Position, problem.Projector, problem.Message)
}
