package release

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestOnlyTheMostRecentVersionsAreKeptCurrent(t *testing.T) {
	w := twoVersions(t)
	w.release("3.3.0")
	w.until("live", isLive("3.3.0"))
	w.settle()
	if a, b := ptr.Deref(w.follower("3.1.2").Spec.Replicas, 1), ptr.Deref(w.follower("3.2.0").Spec.Replicas, 1); a != 0 || b != 1 {
		t.Errorf("followers of 3.1.2 and 3.2.0: %d and %d", a, b)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Rollback.MaxWarm = ptr.To(int32(2)) })
	w.settle()
	if n := ptr.Deref(w.follower("3.1.2").Spec.Replicas, 1); n != 1 {
		t.Errorf("followers of 3.1.2 when two are kept: %d", n)
	}
}

func TestEventsThatAnOldVersionDoesNotKnow(t *testing.T) {
	w := twoVersions(t)
	w.must(w.kubelet.append("3.2.0", 5))
	w.kubelet.stuck = map[string]*ledger.Problem{"3.1.2": {Kind: ledger.KindUnknown, Position: 3, Name: "ReciterMerged", Version: 2}}

	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionRollbackReady).Reason == v1alpha1.ReasonUnknownEvents
	})
	message := conditionOf(release, v1alpha1.ConditionRollbackReady).Message
	for _, says := range []string{"ReciterMerged, version 2", "at position 3", "spec.rollback.unknownEvents to Skip"} {
		if !strings.Contains(message, says) {
			t.Errorf("it does not say %q: %s", says, message)
		}
	}
	w.release("3.1.2")
	w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionCaughtUp).Reason == v1alpha1.ReasonUnknownEvents
	})
	w.onlyAppends("3.2.0", "3.1.2")

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Rollback.UnknownEvents = v1alpha1.UnknownEventsSkip })
	w.until("back", isLive("3.1.2"))
	if value := variable(w.follower("3.2.0").Spec.Template.Spec.Containers[0].Env, unknownEventsVariable); value != "" {
		t.Errorf("the newer version skips unknown events too: %s", value)
	}
}

func TestAnEventThatIsPassedOver(t *testing.T) {
	const id = "018f3c2e-7b1a-7c3d-9e55-0242ac120002"
	w := newWorld(t)
	w.newRelease()
	w.kubelet.refuse = map[string]int32{"replay": exitPoison}
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
	})
	w.kubelet.refuse = nil

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.SkipEvents = []string{id} })

	w.until("live", isLive("3.1.2")) // without waiting for the next try
	if value := variable(w.follower("3.1.2").Spec.Template.Spec.Containers[0].Env, skipEventsVariable); value != id {
		t.Errorf("the follower skips %q", value)
	}
}

func TestAnEventThatALiveVersionCannotApplyIsTold(t *testing.T) {
	w := twoVersions(t)
	w.kubelet.stuck = map[string]*ledger.Problem{"3.2.0": {Position: 3, Name: "ReciterCreated", Version: 1, Message: "its payload cannot be read"}}
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonPoison
	})
	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !isTrue(release, v1alpha1.ConditionReady) || !strings.Contains(message, "skipEvents") {
		t.Errorf("it says %s:\n%s", message, w.told())
	}
}

func TestADatabaseOfAnotherLog(t *testing.T) {
	w := twoVersions(t)
	gone := &ledger.Problem{Kind: ledger.KindDiverged, Position: 1}
	w.kubelet.stuck = map[string]*ledger.Problem{"3.1.2": gone, "3.2.0": gone}
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool { return isTrue(r, v1alpha1.ConditionDiverged) })
	if !isTrue(release, v1alpha1.ConditionAvailable) || release.Status.Live != "3.2.0" {
		t.Errorf("what is live was touched:\n%s", w.told())
	}
	release = w.until("not ready to go back", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionRollbackReady).Reason == v1alpha1.ReasonDiverged
	})
	if stalled := conditionOf(release, v1alpha1.ConditionStalled); stalled.Reason != v1alpha1.ReasonDiverged {
		t.Errorf("it is stalled for %s", stalled.Reason)
	}
	w.onlyAppends("3.2.0", "3.1.2")
	w.release("3.3.0")
	w.until("live", isLive("3.3.0"))
}

func TestACandidateOfAnotherLogIsBuiltAnew(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.behind = 1000
	w.must(w.kubelet.append("3.1.2", 1001))
	w.release("3.2.0")
	w.until("behind", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionCaughtUp).Reason == v1alpha1.ReasonCatchingUp
	})
	first := w.builds("3.2.0")
	w.kubelet.stuck = map[string]*ledger.Problem{"3.2.0": {Kind: ledger.KindDiverged, Position: 1}}
	w.until("rebuilt", func(*v1alpha1.NawhasRelease) bool { return w.builds("3.2.0") != first })
	w.kubelet.stuck, w.kubelet.behind = nil, 0
	w.until("live", isLive("3.2.0"))
	if !w.recorded(v1alpha1.ReasonDiverged) {
		t.Error("no Event tells of it")
	}
}

// builds is the nonce of a version's build, empty when there is none.
func (w *world) builds(version string) string {
	w.t.Helper()
	var build string
	w.must(w.admin(w.sourceDatabase).QueryRow(w.t.Context(), "SELECT coalesce(max(build::text), '') FROM nawhas_ledger.versions WHERE version = $1", version).Scan(&build))
	return build
}

func TestAVersionThatWasRetiredIsReleasedAgain(t *testing.T) {
	w := twoVersions(t, func(r *v1alpha1.NawhasRelease) { r.Spec.Retention.Versions = ptr.To(int32(1)) })
	first := w.builds("3.1.2")
	w.kubelet.wait(48 * time.Hour)
	w.until("retired", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	w.release("3.1.2")
	release := w.until("live", isLive("3.1.2"))
	if again := w.builds("3.1.2"); again == first || versionOf(release, "3.1.2").Image == "" {
		t.Errorf("the build was %s and is %s", first, again)
	}
	w.must(w.kubelet.append("3.1.2", 1))
}
