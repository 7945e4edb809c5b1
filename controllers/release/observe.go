package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// observed is the ledger's name for a version that was watched to the end.
const observed = "Observed"

// unreadyFor is how long pods must have been without their readiness before it
// counts: a blip is no reason to go back.
const unreadyFor = 10 * time.Second

// startupSlack is the time after a pod's start within which its condition says
// that it was never ready, rather than that it no longer is.
const startupSlack = 2 * time.Second

// observation is what watching the live version came to.
type observation struct {
	// reason and message are set when the version fails.
	reason, message string
	// over says that the time is up and nothing is wrong.
	over  bool
	again time.Duration
}

// observe watches the version that went live last, and has it sent back when
// it fails. The way back is the stages' business: the ledger says which version
// is to return, and they take it there as any other.
func (r *Reconciler) observe(ctx context.Context, s *scope) (outcome, error) {
	live := s.live()
	if live == nil || live.Held != nil || live.LiveSince == nil || live.Passed(observed) {
		r.asker.forget(client.ObjectKeyFromObject(s.release))
		return passed(""), nil
	}
	until := s.observedUntil(live)
	seen := observation{over: s.now.After(until), again: until.Sub(s.now) + time.Second}
	var verification reverification
	if s.sendsBack(live) {
		var err error
		if verification, err = r.verifyAgain(ctx, s, live); err != nil {
			return outcome{}, err
		}
		seen = judgeObservation(s.pods, live, s.sized(live), verification.verdict, until, s.now)
		if problem := unsound(live); problem != nil && seen.message == "" {
			seen = observation{reason: problem.reason, message: problem.message}
		}
		if seen.message == "" {
			seen = r.checkMetrics(s, live, seen, until)
		}
	}
	switch {
	case seen.message != "":
		return r.sendBack(ctx, s, live, seen)
	case !seen.over && verification.refused:
		return blocked(verification.reason, verification.message, seen.again), nil
	case !seen.over:
		return outcome{passed: true, again: seen.again}, nil
	}
	if verification.asked && !verification.done {
		r.event(s, eventWarning, "VerificationUnknown", fmt.Sprintf("version %s was watched without its verification: %s", live.Version, verification.message))
	}
	if err := s.ledger.PassStage(ctx, live, observed, map[string]string{"until": s.now.UTC().Format(time.RFC3339)}); err != nil {
		return outcome{}, err
	}
	return passed(""), s.reload(ctx)
}

// sendsBack reports whether a failure of the live version is a reason to go
// back: it is asked for, there is a version to go back to, and the live one is
// not itself the end of a way back.
func (s *scope) sendsBack(live *ledger.Version) bool {
	return s.observeFor() > 0 && s.previous() != nil && !s.succeeded(live) && s.plans[live.Version] != nil
}

// succeeded reports whether a version that was built later has been live.
func (s *scope) succeeded(v *ledger.Version) bool {
	return slices.ContainsFunc(s.versions, func(other *ledger.Version) bool {
		return other.LiveSince != nil && other.CreatedAt.After(v.CreatedAt)
	})
}

// observeFor is how long a version is watched, 0 when it is not.
func (s *scope) observeFor() time.Duration { return observeFor(&s.release.Spec) }

func observeFor(spec *v1alpha1.NawhasReleaseSpec) time.Duration {
	if spec.Cutover.Observe == nil || spec.Rollback.OnFailure == v1alpha1.FailureNone {
		return 0
	}
	return spec.Cutover.Observe.Duration
}

func (s *scope) observedUntil(live *ledger.Version) time.Time {
	return live.LiveSince.Add(s.observeFor())
}

// judgeObservation decides whether a version that went live fails: half of a
// workload's pods lost their readiness and did not get it back, or the
// verification failed. What Prometheus says of it is checkMetrics' business.
func judgeObservation(pods []corev1.Pod, v *ledger.Version, p *plan, verification verdict, until, now time.Time) observation {
	if verification.failed && verification.reason == v1alpha1.ReasonJobFailed {
		return observation{reason: verification.reason, message: verification.message}
	}
	pending := false
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		wanted := int(ptr.Deref(workload.Replicas, 1))
		if workload.Exclusive || wanted == 0 {
			continue
		}
		lost, fresh := unreadyPods(pods, v, workload.Name, until, now)
		pending = pending || fresh
		if len(lost) > 0 && 2*len(lost) >= wanted {
			return observation{reason: v1alpha1.ReasonPodsNotReady, message: fmt.Sprintf("%d of %d pods of workload %s were ready and have not been for %s (%s)",
				len(lost), wanted, workload.Name, unreadyFor, strings.Join(lost, ", "))}
		}
	}
	// Pods and Jobs are told of; only time has to be looked after.
	again := soonest(until.Sub(now)+time.Second, pollSlow)
	if pending || now.After(until) {
		again = pollProgress
	}
	return observation{over: now.After(until) && !pending, again: again}
}

// unreadyPods are the pods of a workload that lost their readiness while they
// were watched, and whether others did too recently to count.
func unreadyPods(pods []corev1.Pod, v *ledger.Version, workload string, until, now time.Time) (lost []string, fresh bool) {
	for i := range pods {
		pod := &pods[i]
		since, unready := lostReadiness(pod)
		switch {
		case !unready || since.After(until) || !isWorkloadOf(pod.Labels, v) || pod.Labels[v1alpha1.LabelWorkload] != workload:
		case now.Sub(since) < unreadyFor:
			fresh = true
		default:
			lost = append(lost, pod.Name)
		}
	}
	slices.Sort(lost)
	return lost, fresh
}

// lostReadiness reports since when a pod that was ready is not. The kubelet's
// own word counts: a node that is lost makes its pods unready, and that is not
// the version's fault.
func lostReadiness(pod *corev1.Pod) (since time.Time, lost bool) {
	if !pod.DeletionTimestamp.IsZero() {
		return time.Time{}, false
	}
	ready, containers := podCondition(pod, corev1.PodReady), podCondition(pod, corev1.ContainersReady)
	if ready == nil || ready.Status != corev1.ConditionFalse || containers == nil || containers.Status != corev1.ConditionFalse {
		return time.Time{}, false
	}
	since = ready.LastTransitionTime.Time
	neverReady := pod.Status.StartTime != nil && since.Sub(pod.Status.StartTime.Time) <= startupSlack
	if neverReady && judgePod(pod).reason != v1alpha1.ReasonPodFailing {
		return time.Time{}, false
	}
	return since, true
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// sendBack records that the version is to make way for the previous one.
func (r *Reconciler) sendBack(ctx context.Context, s *scope, live *ledger.Version, seen observation) (outcome, error) {
	previous := s.previous()
	if err := s.cannotTakeOver(previous); err != nil {
		return blocked(v1alpha1.ReasonReturnImpossible, fmt.Sprintf("version %s fails: %s; and version %s cannot take over: %v", live.Version, seen.message, previous.Version, err), pollProgress), nil
	}
	why := ledger.Held{At: s.now.UTC().Truncate(time.Second), Reason: seen.reason, Message: shorten(seen.message),
		Wanted: s.release.Spec.Version, Retry: s.release.Spec.Retry, ReturnTo: previous.Version}
	if err := s.ledger.Hold(ctx, live, why); err != nil {
		return outcome{}, err
	}
	r.event(s, eventWarning, v1alpha1.ReasonRolledBack, fmt.Sprintf(
		"version %s fails: %s; going back to version %s. Version %s is held: release another one, or raise spec.retry to %d to try it again",
		live.Version, seen.message, previous.Version, live.Version, s.release.Spec.Retry+1))
	return passed(""), s.reload(ctx)
}

// cannotTakeOver says why a warm version could not be gone back to, nil when
// it can.
func (s *scope) cannotTakeOver(v *ledger.Version) error {
	switch {
	case s.plans[v.Version] == nil:
		return planMissing(v)
	case !s.existing[v.Database]:
		return fmt.Errorf("its database %s no longer exists; restore it, or release another version", v.Database)
	case v.Checkpoint.Problem != nil:
		return errors.New(problemOf(v))
	case unsound(v) != nil:
		return errors.New(unsound(v).message)
	}
	return nil
}
