package release

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The operator is ended at every one of its side effects, in the cluster and on
// the servers: on the way to live, on the way to the next version, and on the
// way back that the operator takes by itself. A new one must bring the release
// to the same end.
//
// Each side effect ends one operator in each mode, before it or after it by
// turns, and the other way round in the other mode. With NAWHAS_CRASH=all (make
// test-crashes) it ends one before it and one after it.
func TestAnOperatorThatEndsAtAnyWriteIsReplaced(t *testing.T) {
	for mode, moments := range crashes() {
		for name, after := range moments {
			t.Run(fmt.Sprintf("%s,%s", mode, name), func(t *testing.T) {
				w := newWorld(t)
				w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.Mode = mode })
				crashes := w.crashOn(isLive("3.1.2"), after)
				w.release("3.2.0")
				crashes += w.crashOn(isLive("3.2.0"), after)
				if crashes < 60 {
					t.Errorf("only %d crashes", crashes)
				}
				w.onlyAppends("3.2.0", "3.1.2")

				w.kubelet.wait(5 * time.Second)
				w.kubelet.ready("3.2.0", corev1.ConditionFalse)
				w.kubelet.wait(unreadyFor)
				if crashes := w.crashOn(isHeldAt("3.1.2"), after); crashes < 10 {
					t.Errorf("only %d crashes on the way back", crashes)
				}
				w.onlyAppends("3.1.2", "3.2.0")
				if jobs := append(w.jobs("3.1.2"), w.jobs("3.2.0")...); len(jobs) != 7 {
					t.Errorf("the Jobs are %v", jobs)
				}
			})
		}
	}
}

// moment says whether the n-th side effect is done when the operator ends at it.
type moment func(n int) (after bool)

// crashes are when operators end, by mode and by name.
func crashes() map[v1alpha1.CutoverMode]map[string]moment {
	before, after := func(int) bool { return false }, func(int) bool { return true }
	odd, even := func(n int) bool { return n%2 == 1 }, func(n int) bool { return n%2 == 0 }
	if os.Getenv("NAWHAS_CRASH") == "all" {
		both := map[string]moment{"before": before, "after": after}
		return map[v1alpha1.CutoverMode]map[string]moment{v1alpha1.CutoverFlipThenFence: both, v1alpha1.CutoverStrict: both}
	}
	return map[v1alpha1.CutoverMode]map[string]moment{
		v1alpha1.CutoverFlipThenFence: {"by turns": odd}, v1alpha1.CutoverStrict: {"by turns": even},
	}
}

// onlyAppends checks that one version can write and the other cannot.
func (w *world) onlyAppends(live, other string) {
	w.t.Helper()
	if got := w.selected("nawhas-api"); got != live {
		w.t.Errorf("the Service leads to %q", got)
	}
	if err := w.kubelet.append(live, 1); err != nil {
		w.t.Error(err)
	}
	if err := w.kubelet.append(other, 1); err == nil {
		w.t.Errorf("version %s can still append", other)
	}
}

// crashOn ends an operator at each of its side effects, once, and returns how
// many there were.
func (w *world) crashOn(done func(*v1alpha1.NawhasRelease) bool, after moment) (crashes int) {
	w.t.Helper()
	return w.crashAmong(nil, done, after)
}

// crashAmong is crashOn for some of the side effects, by their descriptions.
func (w *world) crashAmong(effects *regexp.Regexp, done func(*v1alpha1.NawhasRelease) bool, after moment) (crashes int) {
	w.t.Helper()
	survived := map[string]bool{}
	for range 10 * passes {
		end := &crash{survived: survived, after: after, among: effects, statements: map[*pgx.Conn][]string{}}
		w.restart(&crashingClient{Client: cluster, crash: end})
		w.reconciler.Tracer = end
		for range passes {
			_, err := w.pass()
			w.kubelet.work()
			if done(w.get()) {
				return len(survived)
			}
			if err != nil || end.dead {
				break
			}
		}
	}
	w.t.Fatalf("not done after %d crashes:\n%s", len(survived), w.told())
	return 0
}
