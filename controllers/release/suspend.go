package release

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// halted reports whether the stages are not to be walked. A switch that the
// ledger has recorded is brought to its end: half of one is no place to stop.
func (s *scope) halted() bool {
	return s.release.Spec.Suspend && (s.target == nil || s.target.Role != ledger.Live)
}

// halt leaves the chosen version where it is, and says so: the stages that it
// has passed, the one at which it stands, and those behind it.
func (s *scope) halt(stages []stage) outcome {
	result := outcome{reason: v1alpha1.ReasonSuspended, again: pollSlow, paused: true, rests: true,
		message: fmt.Sprintf("version %s does not go on, because spec.suspend is true; set it to false to let it", s.choice.version)}
	for i, current := range stages {
		if s.target == nil || !s.target.Passed(current.condition()) {
			s.set(current.condition(), result)
			s.notReached(stages[i+1:], current.condition())
			return result
		}
		s.set(current.condition(), passed(fmt.Sprintf("version %s has passed it", s.target.Version)))
	}
	return result
}

// summarizeSuspended says whether spec.suspend stops the release, once it did.
func (s *scope) summarizeSuspended() {
	switch {
	case s.release.Spec.Suspend:
		s.setCondition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, v1alpha1.ReasonSuspended,
			"nothing is begun, switched, sent back or removed until spec.suspend is false; what is live or warm is looked after")
	case meta.FindStatusCondition(s.release.Status.Conditions, v1alpha1.ConditionSuspended) != nil:
		s.setCondition(v1alpha1.ConditionSuspended, metav1.ConditionFalse, v1alpha1.ReasonResumed, "the release goes on")
	}
}
