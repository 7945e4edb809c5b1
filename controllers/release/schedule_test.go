package release

import (
	"fmt"
	"strings"
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestASupersededCandidateMakesWayForItsSuccessor(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"replay": 1}
	w.release("3.2.0")
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
	})
	w.kubelet.refuse = nil
	w.release("3.3.0")
	w.until("live", func(r *v1alpha1.NawhasRelease) bool { return isLive("3.3.0")(r) && len(r.Status.Versions) == 2 })
	w.onlyAppends("3.3.0", "3.1.2")
	if w.databaseExists(w.prefix + "3_2_0") {
		t.Error("the superseded candidate's database is still there")
	}
}

// Versions follow each other before the one before is done with anything.
func TestTwoVersionsInQuickSuccession(t *testing.T) {
	for _, after := range []int{1, 6, 12} {
		t.Run(fmt.Sprintf("after %d passes", after), func(t *testing.T) {
			w := twoVersionsAfter(t, after)
			w.release("3.3.0")
			w.until("live", isLive("3.3.0"))
			w.onlyAppends("3.3.0", "3.1.2")
		})
	}
}

// twoVersionsAfter has 3.1.2 live, and 3.2.0 on its way for some passes.
func twoVersionsAfter(t *testing.T, passes int) *world {
	t.Helper()
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	for range passes {
		_, err := w.pass()
		w.must(err)
		w.kubelet.work()
	}
	return w
}

// A version that is live, but that the nodes do not lead to yet, is succeeded:
// the one before it is fenced as soon as they do, whatever the successor waits for.
func TestASwitchComesToItsEndWhileTheNextVersionIsOnItsWay(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.unwired = true
	w.release("3.2.0")
	w.until("live in the ledger", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.3.0", v1alpha1.PromotionManual
	})
	awaitsApproval := func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	}
	w.until("waiting", awaitsApproval)
	w.must(w.kubelet.append("3.1.2", 1)) // clients are still led to it

	w.kubelet.unwired = false
	w.kubelet.work()
	w.settle()

	w.onlyAppends("3.2.0", "3.1.2")
	if release := w.get(); !awaitsApproval(release) {
		t.Errorf("the successor waits no more:\n%s", w.told())
	}
}

// The way back is asked for in each state between the two versions.
func TestAWayBackInMidSwitch(t *testing.T) {
	for _, mode := range []v1alpha1.CutoverMode{v1alpha1.CutoverFlipThenFence, v1alpha1.CutoverStrict} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.Mode = mode })
			w.until("live", isLive("3.1.2"))
			w.release("3.2.0")
			w.until("switched", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
			w.release("3.1.2")
			w.until("back", isLive("3.1.2"))
			w.onlyAppends("3.1.2", "3.2.0")
			w.release("3.2.0")
			w.until("forward", isLive("3.2.0"))
			w.onlyAppends("3.2.0", "3.1.2")
		})
	}
}

// A → B → A → B, changed after every pass for a while: it comes to rest where it
// was asked to.
func TestAReleaseThatCannotDecide(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	for n := range 24 {
		w.release([]string{"3.2.0", "3.1.2"}[n%2])
		for range n % 5 {
			if _, err := w.pass(); err != nil {
				t.Logf("pass: %v", err)
			}
			w.kubelet.work()
		}
	}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.onlyAppends("3.2.0", "3.1.2")
}

// The source goes away when the Services lead to the new version and the old
// one is not fenced: nobody is cut off, and the switch is finished afterwards.
func TestASourceThatGoesAwayInMidSwitch(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.unwired = true // the switch waits here
	w.release("3.2.0")
	w.until("switched", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	away := "postgres://" + w.source + ":secret@127.0.0.1:1/" + w.sourceDatabase + "?sslmode=disable"
	w.secret("nawhas-source", away)
	w.kubelet.unwired = false

	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonUnreachable
	})
	w.settle()

	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !strings.Contains(message, "goes on by itself when the server answers") {
		t.Errorf("it says %s", message)
	}
	if got := w.selected("nawhas-api"); got != "3.2.0" {
		t.Errorf("the Service leads to %q", got)
	}
	for _, version := range []string{"3.1.2", "3.2.0"} {
		if d := w.workload(version); d.Status.AvailableReplicas == 0 {
			t.Errorf("version %s has no pods", version)
		}
		if err := w.kubelet.append(version, 1); err != nil {
			t.Errorf("version %s is cut off: %v", version, err)
		}
	}
	w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase))
	w.until("live", isLive("3.2.0"))
	w.onlyAppends("3.2.0", "3.1.2")
}
