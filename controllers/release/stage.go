package release

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// stage takes spec.version one step further and owns one condition.
type stage interface {
	condition() string
	// reconcile does what can be done now. It is called in every pass in which
	// all stages before it are passed.
	reconcile(ctx context.Context, s *scope) (outcome, error)
}

// outcome is what a stage came to.
type outcome struct {
	passed          bool
	reason, message string
	// stalled says that only a change by somebody helps.
	stalled bool
	// paused says that nothing is under way by somebody's wish.
	paused bool
	// again is when to look again although nothing was seen to change; 0 means
	// that a watch will tell.
	again time.Duration
	// rests says that nobody but a person can change anything: it need not be
	// looked at again before something is seen to change.
	rests bool
}

func passed(message string) outcome {
	return outcome{passed: true, reason: v1alpha1.ReasonSucceeded, message: message}
}

func waiting(reason, message string, again time.Duration) outcome {
	return outcome{reason: reason, message: message, again: again}
}

func blocked(reason, message string, again time.Duration) outcome {
	return outcome{reason: reason, message: message, again: again, stalled: true}
}

// atRest marks what waits for a person.
func atRest(result outcome) outcome {
	result.rests = true
	return result
}

// walk runs the stages until one is not passed, and sets their conditions.
func walk(ctx context.Context, s *scope, stages []stage) (outcome, error) {
	for i, current := range stages {
		result, err := current.reconcile(ctx, s)
		if err != nil {
			problem := explain(err)
			result = blocked(problem.reason, problem.message, 0)
		}
		s.set(current.condition(), result)
		if !result.passed {
			s.notReached(stages[i+1:], current.condition())
			return result, err
		}
	}
	return passed(""), nil
}

// begin records that the chosen version stands at a stage, once, and reads it back:
// a deadline counts from there.
func (s *scope) begin(ctx context.Context, stage string) error {
	if _, begun := s.target.Stages[stage]; begun {
		return nil
	}
	if err := s.ledger.StartStage(ctx, s.target, stage); err != nil {
		return err
	}
	return s.reload(ctx)
}

// beginAgain is begin for a stage that may have been passed before: what it waits
// for now began now.
func (s *scope) beginAgain(ctx context.Context, stage string) error {
	if s.target.Passed(stage) {
		if err := s.ledger.ReopenStage(ctx, s.target, stage); err != nil {
			return err
		}
		if err := s.reload(ctx); err != nil {
			return err
		}
	}
	return s.begin(ctx, stage)
}

func (s *scope) set(condition string, result outcome) {
	status := metav1.ConditionFalse
	if result.passed {
		status = metav1.ConditionTrue
	}
	s.setCondition(condition, status, result.reason, result.message)
}

// notReached says so of the stages behind the one that is not passed.
func (s *scope) notReached(rest []stage, waitsFor string) {
	for _, later := range rest {
		s.setCondition(later.condition(), metav1.ConditionUnknown, v1alpha1.ReasonPending, "waits for "+waitsFor)
	}
}

// fillMissing gives the stages that were never spoken of a condition, and
// leaves those that were as they are.
func (s *scope) fillMissing(rest []stage) {
	for _, later := range rest {
		if meta.FindStatusCondition(s.release.Status.Conditions, later.condition()) == nil {
			s.notReached([]stage{later}, v1alpha1.ConditionDatabaseReady)
		}
	}
}

func (s *scope) setCondition(condition string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&s.release.Status.Conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: shorten(message), ObservedGeneration: s.release.Generation,
	})
}

// maxMessage keeps the status small enough for etcd whatever a server says, and
// an Event's note as short as the API server takes it, which counts bytes.
const maxMessage = 1024

func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const rest = "…"
	return strings.ToValidUTF8(message[:maxMessage-len(rest)], "") + rest
}
