package release

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// twoVersions has 3.1.2 warm and 3.2.0 live, both at work for a while.
func twoVersions(t *testing.T, change ...func(*v1alpha1.NawhasRelease)) *world {
	t.Helper()
	w := newWorld(t)
	w.newRelease(change...)
	w.until("live", isLive("3.1.2"))
	w.kubelet.wait(5 * time.Second)
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.kubelet.wait(5 * time.Second)
	return w
}

// fails takes the readiness of the live version's pods for longer than a blip.
func (w *world) fails(version string) {
	w.t.Helper()
	w.kubelet.ready(version, corev1.ConditionFalse)
	w.kubelet.wait(unreadyFor)
}

func TestAVersionThatLosesItsPodsIsSentBackAndHeld(t *testing.T) {
	w := twoVersions(t)
	w.fails("3.2.0")

	release := w.until("sent back", isHeldAt("3.1.2"))

	w.onlyAppends("3.1.2", "3.2.0")
	ready := conditionOf(release, v1alpha1.ConditionReady)
	for _, says := range []string{"version 3.2.0 was sent back to 3.1.2", "were ready and have not been", "raise spec.retry to 1"} {
		if !strings.Contains(ready.Message, says) {
			t.Errorf("it does not say %q: %s", says, ready.Message)
		}
	}
	if ready.Status != metav1.ConditionFalse || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("the summary is wrong:\n%s", w.told())
	}
	if held := versionOf(release, "3.2.0").Held; held == "" {
		t.Error("status.versions does not tell that it is held")
	}
	if !w.recorded(v1alpha1.ReasonRolledBack) {
		t.Error("no Event tells of it")
	}
	w.kubelet.ready("3.2.0", corev1.ConditionTrue)
	w.kubelet.wait(time.Hour)
	w.restart(cluster)
	w.settle()
	if release := w.get(); release.Status.Live != "3.1.2" {
		t.Errorf("it went live again by itself:\n%s", w.told())
	}
}

func TestAHeldVersionIsTriedAgainWhenAsked(t *testing.T) {
	w := twoVersions(t)
	w.fails("3.2.0")
	w.until("sent back", isHeldAt("3.1.2"))

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
	w.until("live again", isLive("3.2.0"))
	w.kubelet.wait(5 * time.Second)
	w.fails("3.2.0")
	release := w.until("sent back again", isHeldAt("3.1.2"))

	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !strings.Contains(message, "raise spec.retry to 2") {
		t.Errorf("it says %s", message)
	}
	w.release("3.1.2")
	w.until("content", isLive("3.1.2"))
	w.release("3.2.0")
	w.until("live a third time", isLive("3.2.0"))
}

func TestABlipIsNoReasonToGoBack(t *testing.T) {
	w := twoVersions(t)
	for range 5 {
		w.kubelet.ready("3.2.0", corev1.ConditionFalse)
		w.kubelet.wait(unreadyFor / 2)
		w.settle()
		w.kubelet.ready("3.2.0", corev1.ConditionTrue)
		w.kubelet.wait(unreadyFor / 2)
		w.settle()
	}
	if release := w.get(); release.Status.Live != "3.2.0" || !isTrue(release, v1alpha1.ConditionReady) {
		t.Errorf("it was sent back:\n%s", w.told())
	}
}

func TestWhatFailsAfterItsObservationStaysLive(t *testing.T) {
	w := twoVersions(t)
	if until := versionOf(w.get(), "3.2.0").ObservedUntil; until == nil {
		t.Error("status.versions does not tell until when it is watched")
	}
	w.kubelet.wait(3 * time.Minute)
	w.settle()
	w.fails("3.2.0")
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" || versionOf(release, "3.2.0").ObservedUntil != nil {
		t.Errorf("it was sent back:\n%s", w.told())
	}
}

func TestAVersionWhoseVerificationFailsIsSentBackAndVerifiedAnew(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"observe": exitUnproven}
	w.release("3.2.0")

	release := w.until("sent back", isHeldAt("3.1.2"))

	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !strings.Contains(message, "the last words of observe") {
		t.Errorf("it does not tell what the verification said: %s", message)
	}
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 7 })
	w.until("not verified", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})
	if live := w.get().Status.Live; live != "3.1.2" {
		t.Fatalf("live is %q", live)
	}
	w.kubelet.refuse = nil
	w.kubelet.wait(lastRetry)
	w.until("live", isLive("3.2.0"))
}

// A database that moves on has no position at which it could be compared.
func TestAVersionThatWasSentBackStandsStillWhileItIsVerifiedAnew(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"observe": exitUnproven}
	w.release("3.2.0")
	w.until("sent back", isHeldAt("3.1.2"))
	w.settle()
	if replicas := *w.follower("3.2.0").Spec.Replicas; replicas != 1 {
		t.Fatalf("the version that was sent back has %d followers", replicas)
	}
	w.kubelet.refuse = nil
	verified := 0
	w.kubelet.verifies = func(*batchv1.Job) {
		verified++
		followers := w.podsWith(map[string]string{v1alpha1.LabelVersion: "3.2.0", v1alpha1.LabelStage: followerName})
		if replicas := *w.follower("3.2.0").Spec.Replicas; replicas != 0 || len(followers) > 0 {
			t.Errorf("it is followed meanwhile by %d of %d pods", len(followers), replicas)
		}
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Retry = 1 })
	w.until("live", isLive("3.2.0"))
	if verified != 1 {
		t.Errorf("it was verified %d times", verified)
	}
}

func TestNothingIsSentBackWhenThatIsNotWanted(t *testing.T) {
	w := twoVersions(t, func(r *v1alpha1.NawhasRelease) { r.Spec.Rollback.OnFailure = v1alpha1.FailureNone })
	w.fails("3.2.0")
	w.settle()
	if live := w.get().Status.Live; live != "3.2.0" {
		t.Errorf("live is %q", live)
	}
	if jobs := w.jobs("3.2.0"); len(jobs) != 3 {
		t.Errorf("it was verified again: %v", jobs)
	}
}

// An operator that learns to watch does not judge what happened before.
func TestWhatWentLiveUnwatchedStaysLive(t *testing.T) {
	w := twoVersions(t, func(r *v1alpha1.NawhasRelease) { r.Spec.Rollback.OnFailure = v1alpha1.FailureNone })
	w.kubelet.wait(time.Hour)
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Rollback.OnFailure = v1alpha1.FailureAuto })
	w.restart(cluster)
	w.fails("3.2.0")
	w.settle()
	if live := w.get().Status.Live; live != "3.2.0" {
		t.Errorf("live is %q", live)
	}
	if jobs := w.jobs("3.2.0"); len(jobs) != 3 {
		t.Errorf("it was verified again: %v", jobs)
	}
}

func TestAWayBackByHandIsNotTakenBack(t *testing.T) {
	w := twoVersions(t)
	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	w.kubelet.wait(5 * time.Second)
	w.fails("3.1.2")
	w.settle()
	if live := w.get().Status.Live; live != "3.1.2" {
		t.Errorf("live is %q", live)
	}
}

func TestAWayBackThatIsImpossibleIsTold(t *testing.T) {
	w := twoVersions(t)
	w.kubelet.stuck = map[string]*ledger.Problem{"3.1.2": {Kind: ledger.KindUnknown, Position: 1, Name: "ReciterMerged", Version: 1}}
	w.settle()
	w.fails("3.2.0")
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonReturnImpossible
	})
	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; release.Status.Live != "3.2.0" || !strings.Contains(message, "ReciterMerged") {
		t.Errorf("live is %q and it says %s", release.Status.Live, message)
	}
}

// Nobody is to learn at 3 a.m. that what could come back is not there.
func TestAPreviousVersionThatIsNotThereCannotComeBack(t *testing.T) {
	w := twoVersions(t)
	w.until("ready to go back", func(r *v1alpha1.NawhasRelease) bool { return isTrue(r, v1alpha1.ConditionRollbackReady) })
	postgres.Exec(t, "postgres", "DROP DATABASE "+w.prefix+"3_1_2 WITH (FORCE)")

	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionRollbackReady).Reason == v1alpha1.ReasonReturnImpossible
	})

	if message := conditionOf(release, v1alpha1.ConditionRollbackReady).Message; !strings.Contains(message, "database "+w.prefix+"3_1_2 no longer exists; restore it") {
		t.Errorf("it does not say what is gone: %s", message)
	}
}

func TestWhetherAPreviousVersionCanComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *scope)
		reason string
	}{
		"all is there":         {func(*scope) {}, v1alpha1.ReasonSucceeded},
		"its database is gone": {func(s *scope) { s.existing = nil }, v1alpha1.ReasonReturnImpossible},
		"its plan is gone":     {func(s *scope) { s.plans = nil }, v1alpha1.ReasonReturnImpossible},
		"its window is over":   {func(s *scope) { s.existing, s.now = nil, noon.Add(48*time.Hour) }, v1alpha1.ReasonWindowExpired},
	} {
		previous := warmFor(aVersion("1.0.0", ledger.Warm), time.Minute)
		s := &scope{now: noon, release: &v1alpha1.NawhasRelease{}, versions: []*ledger.Version{previous, aVersion("2.0.0", ledger.Live)},
			plans: map[string]*plan{"1.0.0": {}}, existing: map[string]bool{previous.Database: true}}
		s.release.Spec.Rollback.Window = &metav1.Duration{Duration: time.Hour}
		c.change(s)
		if status, reason, message := judgeRollback(s); reason != c.reason || (status == metav1.ConditionTrue) != (c.reason == v1alpha1.ReasonSucceeded) {
			t.Errorf("%s: %s %s: %s", name, status, reason, message)
		}
	}
}

func TestAFailedVersionMakesWayAlthoughItsSuccessorIsBuilt(t *testing.T) {
	w := twoVersions(t)
	w.kubelet.refuse = map[string]int32{"replay": 1}
	w.release("3.3.0")
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
	})
	w.fails("3.2.0")
	w.until("sent back", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.1.2" })
	w.kubelet.refuse = nil
	w.kubelet.wait(firstRetry + time.Second)
	w.until("live", isLive("3.3.0"))
}

func TestAnAnnotationHoldsAVersionUntilItIsRemoved(t *testing.T) {
	w := twoVersions(t)
	w.hold("3.1.2")
	release := w.until("held", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == "3.1.2" && conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonHeld
	})
	w.settle()
	w.onlyAppends("3.1.2", "3.2.0")
	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; release.Status.Hold != "3.1.2" || !strings.Contains(message, "remove it to let version 3.2.0 go live") {
		t.Errorf("the status says %q, %s", release.Status.Hold, message)
	}
	w.release("3.3.0")
	w.settle()
	if release := w.get(); release.Status.Live != "3.1.2" || len(release.Status.Versions) != 2 {
		t.Errorf("the hold was not obeyed:\n%s", w.told())
	}
	w.hold("")
	w.until("live", isLive("3.3.0"))
}

func TestAnAnnotationThatNamesNoVersionChangesNothing(t *testing.T) {
	w := twoVersions(t)
	w.hold(strings.Repeat("9", 60))
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonHoldInvalid
	})
	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; release.Status.Live != "3.2.0" || !strings.Contains(message, "3.2.0, 3.1.2") {
		t.Errorf("live is %q and it says %s", release.Status.Live, message)
	}
	w.onlyAppends("3.2.0", "3.1.2")
	w.hold("")
	w.until("live", isLive("3.2.0"))
}

// hold writes the annotation, or removes it.
func (w *world) hold(version string) {
	w.t.Helper()
	w.update(func(r *v1alpha1.NawhasRelease) {
		if r.Annotations = map[string]string{v1alpha1.AnnotationHold: version}; version == "" {
			r.Annotations = nil
		}
	})
}

// recorded reports whether an Event of that reason was recorded.
func (w *world) recorded(reason string) bool {
	for {
		select {
		case event := <-w.recorder.Events:
			if strings.Contains(event, reason) {
				return true
			}
		default:
			return false
		}
	}
}

func versionOf(release *v1alpha1.NawhasRelease, version string) v1alpha1.VersionStatus {
	for _, v := range release.Status.Versions {
		if v.Version == version {
			return v
		}
	}
	return v1alpha1.VersionStatus{}
}

// follower is the Deployment of a version's follower.
func (w *world) follower(version string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-follower-" + strings.ReplaceAll(version, ".", "-")}, d))
	return d
}

// workload is the Deployment of a version's pods.
func (w *world) workload(version string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-api-" + strings.ReplaceAll(version, ".", "-")}, d))
	return d
}
