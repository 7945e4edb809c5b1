package release

import (
	"fmt"
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The operator is ended at every one of its writes to the API server, before
// it and after it, on the way to live and on the way to the next version. A new
// one must bring the release to the same end.
func TestAnOperatorThatEndsAtAnyWriteIsReplaced(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%t", after), func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			crashes := w.crashOn(isLive("3.1.2"), after)
			w.release("3.2.0")
			crashes += w.crashOn(isLive("3.2.0"), after)

			if crashes < 20 {
				t.Errorf("only %d crashes", crashes)
			}
			w.must(w.kubelet.append("3.2.0", 1))
			if err := w.kubelet.append("3.1.2", 1); err == nil {
				t.Error("the old version can still append")
			}
			if jobs := append(w.jobs("3.1.2"), w.jobs("3.2.0")...); len(jobs) != 6 {
				t.Errorf("the Jobs are %v", jobs)
			}
		})
	}
}

// crashOn lets each operator live for one write, and returns how many there
// were.
func (w *world) crashOn(done func(*v1alpha1.NawhasRelease) bool, after bool) (crashes int) {
	w.t.Helper()
	left := 1 // a write that never comes to pass would never be passed
	if after {
		left = 0
	}
	for range 10 * passes {
		crashing := &crashingClient{Client: cluster, left: left, after: after}
		w.restart(crashing)
		for range 10 {
			_, err := w.pass()
			w.kubelet.work()
			if done(w.get()) {
				return crashes
			}
			if err != nil || crashing.dead {
				break
			}
		}
		if crashing.dead {
			crashes++
		}
	}
	w.t.Fatalf("not done after %d crashes:\n%s", crashes, w.told())
	return crashes
}
