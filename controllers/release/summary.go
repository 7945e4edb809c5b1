package release

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// summarize sets the conditions that are made of others.
func (s *scope) summarize(way outcome) {
	s.summarizeReady(way)
	s.summarizeProgress(way)
	s.summarizeAvailable()
	s.summarizeSuspended()
	if s.ledger != nil {
		status, reason, message := judgeRollback(s)
		s.setCondition(v1alpha1.ConditionRollbackReady, status, reason, message)
		s.summarizeDiverged()
	}
}

// summarizeDiverged says whether a database that serves, or could come back,
// was built from another log than the one there is.
func (s *scope) summarizeDiverged() {
	for _, v := range s.versions {
		if diverged(v) && (v.Role == ledger.Live || v.Role == ledger.Warm) {
			s.setCondition(v1alpha1.ConditionDiverged, metav1.ConditionTrue, v1alpha1.ReasonDiverged, fmt.Sprintf(
				"the log is not the one that database %s of version %s was built from: they differ at position %d. It goes on serving what it has, and takes no new events; "+
					"find out what happened to the source, or release a new version, which is built from the log as it is", v.Database, v.Version, v.Checkpoint.Problem.Position))
			return
		}
	}
	s.setCondition(v1alpha1.ConditionDiverged, metav1.ConditionFalse, v1alpha1.ReasonSameLog, "every database was built from this log")
}

// summarizeReady says whether spec.version is live. While it is, trouble of a
// server makes a stage's condition false, but the release stays ready.
func (s *scope) summarizeReady(way outcome) {
	version := s.release.Spec.Version
	if s.release.Status.Live == version && s.choice.version == version && meta.IsStatusConditionTrue(s.release.Status.Conditions, v1alpha1.ConditionSwitched) {
		s.setCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonLive, fmt.Sprintf("version %s is live", version))
		return
	}
	s.setCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, way.reason, way.message)
}

// summarizeProgress sets the kstatus conditions: at most one of them is true.
func (s *scope) summarizeProgress(way outcome) {
	reconciling, stalled := metav1.ConditionFalse, metav1.ConditionFalse
	reason, message := way.reason, way.message
	switch {
	case way.passed:
		reason, message = v1alpha1.ReasonSettled, "nothing is left to do"
	case way.stalled:
		stalled = metav1.ConditionTrue
	case way.paused:
	default:
		reconciling = metav1.ConditionTrue
	}
	s.setCondition(v1alpha1.ConditionReconciling, reconciling, reason, message)
	s.setCondition(v1alpha1.ConditionStalled, stalled, reason, message)
}

// summarizeAvailable says whether the live version serves: every workload has a
// pod that is available, but for those that are to have none.
func (s *scope) summarizeAvailable() {
	live := s.release.Status.Live
	if live == "" {
		s.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNothingLive, "no version is live yet")
		return
	}
	entry := &ledger.Version{Version: live}
	workloads := s.release.Spec.Workloads
	if p, ok := s.plans[live]; ok {
		workloads = p.Workloads
	}
	for _, workload := range workloads {
		if workload.Exclusive || asleep(&workload) {
			continue
		}
		if d := s.deployment(entry, workload.Name); d == nil || d.Status.AvailableReplicas == 0 {
			message := fmt.Sprintf("no pod of workload %s of version %s is available", workload.Name, live)
			if problem := s.podTrouble(entry); problem.message != "" {
				message += ": " + problem.message
			}
			s.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonPodsNotReady, message)
			return
		}
	}
	s.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonServing, fmt.Sprintf("version %s serves", live))
}

// asleep reports whether a workload is to have no pods and nobody would miss them.
func asleep(workload *v1alpha1.Workload) bool {
	return workload.Service == nil && workload.Autoscaling == nil && ptr.Deref(workload.Replicas, 1) == 0
}

// judgeRollback says whether the previous version can come back at once, and
// otherwise why not.
func judgeRollback(s *scope) (status metav1.ConditionStatus, reason, message string) {
	previous := s.previous()
	if previous == nil {
		return metav1.ConditionFalse, v1alpha1.ReasonNoPrevious, "no other version has been live, is kept and was not sent back"
	}
	until := previous.WarmSince.Add(keepingOf(&s.release.Spec).window)
	maxLag := ptr.Deref(s.release.Spec.Cutover.MaxLag, 0)
	switch {
	case s.now.After(until):
		return metav1.ConditionFalse, v1alpha1.ReasonWindowExpired, fmt.Sprintf(
			"version %s stopped being kept current at %s; going back to it takes as long as it needs to catch up", previous.Version, until.UTC().Format(time.RFC3339))
	case previous.Checkpoint.Problem != nil:
		found := s.stuckAt(previous)
		return metav1.ConditionFalse, found.reason, found.message
	case unsound(previous) != nil:
		found := unsound(previous)
		return metav1.ConditionFalse, found.reason, found.message
	case s.cannotTakeOver(previous) != nil:
		return metav1.ConditionFalse, v1alpha1.ReasonReturnImpossible, fmt.Sprintf("version %s cannot come back: %v", previous.Version, s.cannotTakeOver(previous))
	case s.plans[previous.Version].inRounds():
		return metav1.ConditionTrue, v1alpha1.ReasonSucceeded, fmt.Sprintf(
			"version %s can come back without losing anything until %s: set spec.version to %s; a round applies what came since position %d, and the last one while writes wait",
			previous.Version, until.UTC().Format(time.RFC3339), previous.Version, previous.Checkpoint.Position)
	case s.behind(previous) > maxLag:
		return metav1.ConditionFalse, v1alpha1.ReasonLagging, fmt.Sprintf("the database of version %s is more than %d events behind", previous.Version, maxLag)
	}
	loss := "losing anything"
	if s.skipsUnknown(previous) {
		loss = "losing anything but events that it does not know, which table skipped_events of its database lists,"
	}
	return metav1.ConditionTrue, v1alpha1.ReasonSucceeded, fmt.Sprintf(
		"version %s can come back without %s until %s: set spec.version to %s", previous.Version, loss, until.UTC().Format(time.RFC3339), previous.Version)
}
