package release

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// announce records an Event, and logs, for each condition that changed its
// status or its reason in this pass.
func (r *Reconciler) announce(ctx context.Context, s *scope, before []metav1.Condition) {
	known := map[string]metav1.Condition{}
	for _, condition := range before {
		known[condition.Type] = condition
	}
	for _, condition := range s.release.Status.Conditions {
		old := known[condition.Type]
		changed := old.Status != condition.Status || old.Reason != condition.Reason
		if !changed || !worthTelling(condition) {
			continue
		}
		ctrl.LoggerFrom(ctx).Info(condition.Message, "condition", condition.Type, "status", condition.Status, "reason", condition.Reason)
		kind := eventNormal
		if condition.Type == v1alpha1.ConditionStalled || condition.Type == v1alpha1.ConditionDiverged {
			kind = eventWarning
		}
		message := condition.Message
		if slices.Contains(v1alpha1.Stages(), condition.Type) {
			message = s.choice.version + ": " + message
		}
		r.event(s, kind, firstOf(announced(condition), condition.Reason), message)
	}
}

// worthTelling leaves out what another condition tells already.
func worthTelling(condition metav1.Condition) bool {
	switch condition.Type {
	case v1alpha1.ConditionStalled, v1alpha1.ConditionReady, v1alpha1.ConditionDiverged:
		return condition.Status == metav1.ConditionTrue
	case v1alpha1.ConditionReconciling, v1alpha1.ConditionRollbackReady:
		return false
	case v1alpha1.ConditionSuspended:
		return true
	case v1alpha1.ConditionAvailable:
		return condition.Reason != v1alpha1.ReasonNothingLive
	}
	return condition.Status == metav1.ConditionTrue
}

// announced is the reason of an Event for a stage that was passed: the stage.
func announced(condition metav1.Condition) string {
	if condition.Reason == v1alpha1.ReasonSucceeded {
		return condition.Type
	}
	return ""
}

func (r *Reconciler) event(s *scope, kind, reason, message string) {
	r.Recorder.Eventf(s.release, nil, kind, reason, reason, "%s", shorten(message))
}
