package release

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func strictly(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.Mode = v1alpha1.CutoverStrict }

// strictTest has 3.1.2 live, and a session of it that can append.
func strictTest(t *testing.T, change ...func(*v1alpha1.NawhasRelease)) (w *world, old *pgx.Conn) {
	t.Helper()
	w = newWorld(t)
	w.newRelease(append(change, strictly)...)
	w.until("live", isLive("3.1.2"))
	return w, w.kubelet.dial(w.workload("3.1.2").Spec.Template, "NAWHAS_SOURCE_URL")
}

const appendOne = "INSERT INTO events (id, name, version, payload) VALUES (gen_random_uuid(), 'ReciterCreated', 1, '{}')"

// While a version's pods write without a pause, the switch goes through, and
// not one of their events comes after it.
func TestAStrictSwitchEndsTheOldVersionsWritesAtOnce(t *testing.T) {
	w, old := strictTest(t)
	var writing sync.WaitGroup
	accepted := 0
	writing.Go(func() {
		for {
			if _, err := old.Exec(t.Context(), appendOne); err != nil {
				if !strings.Contains(err.Error(), "permission denied") {
					t.Errorf("the old version is told %v", err)
				}
				return
			}
			accepted++
		}
	})
	// The followers of this test report when the operator has made its pass, so
	// that a candidate is never current while somebody writes.
	stop := w.followAlways("3.2.0")
	w.release("3.2.0")
	release := w.until("live", isLive("3.2.0"))
	stop()
	writing.Wait()

	var recorded int
	w.must(w.admin(w.sourceDatabase).QueryRow(t.Context(), "SELECT count(*) FROM events").Scan(&recorded))
	if recorded != accepted {
		t.Errorf("%d writes were accepted and %d are in the log", accepted, recorded)
	}
	w.onlyAppends("3.2.0", "3.1.2")
	if !isTrue(release, v1alpha1.ConditionRollbackReady) {
		t.Errorf("there is no way back:\n%s", w.told())
	}
	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	w.onlyAppends("3.1.2", "3.2.0")
}

// followAlways reports a version's checkpoint all the time, once it exists.
func (w *world) followAlways(version string) (stop func()) {
	done := make(chan struct{})
	var following sync.WaitGroup
	conn := w.admin(w.sourceDatabase)
	following.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_, err := conn.Exec(w.t.Context(), `UPDATE nawhas_ledger.checkpoints SET position = (SELECT coalesce(max(position), 0) FROM events)
				WHERE version = $1 AND stage = 'complete'`, version)
			if err != nil {
				w.t.Errorf("follow: %v", err)
				return
			}
		}
	})
	return func() { close(done); following.Wait() }
}

func TestAStrictSwitchThatTakesTooLongIsUndoneAndTriedAgain(t *testing.T) {
	w, old := strictTest(t, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.StrictTimeout = &metav1.Duration{Duration: 500 * time.Millisecond}
	})
	w.atTheGate("3.2.0")
	tx, err := old.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), appendOne)
	w.must(err)
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.reconciler.Clock = clock.RealClock{}
	began := time.Now()
	release := w.until("put off", func(r *v1alpha1.NawhasRelease) bool {
		putOff := conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonStrictTimedOut
		if !putOff {
			began = time.Now()
		}
		return putOff
	})
	if again := w.inLedger("3.2.0").NotBefore; again == nil || again.Before(began.Add(500*time.Millisecond+strictRetry)) {
		t.Errorf("an attempt that began at %s and took half a second is made again at %v", began, again)
	}
	w.clock.SetTime(time.Now())
	w.reconciler.Clock = w.clock

	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; !strings.Contains(message, "session") || !strings.Contains(message, "has appended to the log and not finished") ||
		!strings.Contains(message, "everything is as before") {
		t.Errorf("it says %s", message)
	}
	w.settle()
	if release := w.get(); release.Status.Live != "3.1.2" || w.selected("nawhas-api") != "3.1.2" {
		t.Errorf("it was not undone:\n%s", w.told())
	}
	w.must(w.kubelet.append("3.1.2", 1))
	w.must(tx.Commit(t.Context()))
	defer w.followAlways("3.2.0")()
	w.settle()
	if live := w.get().Status.Live; live != "3.1.2" {
		t.Fatalf("it was tried again at once: live is %q", live)
	}
	w.kubelet.wait(strictRetry)
	w.until("live", isLive("3.2.0"))
	w.onlyAppends("3.2.0", "3.1.2")
}

// atTheGate has a version wait for its approval, with a watermark that is drawn.
func (w *world) atTheGate(version string) {
	w.t.Helper()
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = version, v1alpha1.PromotionManual
	})
	w.until("at the gate", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	})
	w.must(w.reconciler.openedLedger(w).Mark(w.t.Context(), w.inLedger(version), 0))
}

// inLedger is what the ledger knows of a version.
func (w *world) inLedger(version string) *ledger.Version {
	w.t.Helper()
	versions, err := w.reconciler.openedLedger(w).Versions(w.t.Context())
	w.must(err)
	for _, v := range versions {
		if v.Version == version {
			return v
		}
	}
	w.t.Fatalf("the ledger does not know version %s", version)
	return nil
}

// openedLedger is the operator's own.
func (r *Reconciler) openedLedger(w *world) *ledger.Ledger {
	r.servers.mu.Lock()
	defer r.servers.mu.Unlock()
	return r.servers.ledgers[w.namespace+"/nawhas"].ledger
}

// Somebody else's grant would let the old version write after the switch, which
// is what the mode rules out.
func TestAStrictSwitchIsRefusedWhileTheOldVersionCannotBeStopped(t *testing.T) {
	w, _ := strictTest(t)
	role := w.prefix + "3_1_2_app"
	postgres.Exec(t, w.sourceDatabase, "GRANT INSERT (id, name, version, payload) ON events TO "+w.databases+" WITH GRANT OPTION",
		"SET ROLE "+w.databases+"; GRANT INSERT (id, name, version, payload) ON events TO "+role+"; RESET ROLE")
	w.release("3.2.0")
	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonOthersCanAppend
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; release.Status.Live != "3.1.2" || !strings.Contains(message, role) {
		t.Errorf("live is %q, and it says %s", release.Status.Live, message)
	}
	w.must(w.kubelet.append("3.1.2", 1))
	defer w.followAlways("3.2.0")()
	postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT (id, name, version, payload) ON events FROM "+w.databases+" CASCADE")
	w.until("live", isLive("3.2.0"))
}
