package release

import (
	"testing"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestAReleaseIsTakenBackLaterAndLater(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	d := displacement{}
	for n, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, lastTakeBack, lastTakeBack} {
		var wait time.Duration
		if d, wait = d.next(now); wait != want {
			t.Errorf("displaced %d times: it waits %s, want %s", n+1, wait, want)
		}
		if _, wait = d.next(now.Add(time.Second)); wait != want-time.Second {
			t.Errorf("displaced %d times: a second later it waits %s", n+1, wait)
		}
		now = now.Add(want)
		if d, wait = d.next(now); wait != 0 {
			t.Errorf("displaced %d times: when it is time it waits %s more", n+1, wait)
		}
	}
	if _, wait := d.next(now.Add(lastTakeBack + time.Second)); wait != firstTakeBack {
		t.Errorf("after a long while it waits %s", wait)
	}
}

// Another operator of the same cluster took the release over and is gone.
func TestAnOperatorTakesAReleaseBack(t *testing.T) {
	w := twoVersions(t)
	remaining := w.reconciler
	w.reconciler = nil
	w.restart(cluster)
	w.settle()
	w.reconciler.Close()
	w.reconciler = remaining

	w.release("3.3.0")
	w.until("told", isSuperseded)
	w.kubelet.wait(firstTakeBack)
	w.until("live", isLive("3.3.0"))
}

// The release of the same name in another cluster is not this one's to take.
func TestAnOperatorLeavesAnotherClustersReleaseAlone(t *testing.T) {
	w := twoVersions(t)
	_, err := w.admin(w.sourceDatabase).Exec(t.Context(), "UPDATE nawhas_ledger.releases SET epoch = epoch + 1, holder = 'another object'")
	w.must(err)

	w.release("3.3.0")
	w.until("told", isSuperseded)
	w.kubelet.wait(48 * time.Hour)
	for range 5 {
		_, _ = w.pass()
	}
	if !isSuperseded(w.get()) {
		t.Errorf("it goes on:\n%s", w.told())
	}
}

func isSuperseded(r *v1alpha1.NawhasRelease) bool {
	return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonSuperseded
}
