//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/load"
)

const (
	first = "3.1.2"
	next  = "3.2.0"
)

// To the next version, back, and forward again, while people read and write:
// none of them notices, and both databases have every write once, in order.
func TestNobodyNoticesASwitch(t *testing.T) {
	w := newSwitchingWorld(t, 5_000)
	running := w.load()
	for _, version := range []string{next, first, next} {
		time.Sleep(time.Second) // lets the load reach the version that is left
		w.release(version)
		w.untilFenced(version)
	}
	w.stop(running)
	if release := w.Release(t); !meta.IsStatusConditionTrue(release.Status.Conditions, v1alpha1.ConditionRollbackReady) {
		t.Error("there is no way back")
	}
}

// The wanted version is taken back while its database is being filled, and
// asked for again.
func TestAVersionIsTakenBackInMidReplay(t *testing.T) {
	t.Parallel()
	w := newSwitchingWorld(t, 60_000)
	running := w.load()
	w.release(next)
	w.untilReason(v1alpha1.ConditionReplayed, v1alpha1.ReasonReplaying)
	w.release(first)
	w.until("rid of the candidate", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == first && len(r.Status.Versions) == 1 })
	w.release(next)
	w.untilFenced(next)
	w.stop(running)
}

// The way back is asked for when the Services lead to the new version and the
// old one is not fenced yet.
func TestAVersionIsTakenBackInMidSwitch(t *testing.T) {
	t.Parallel()
	w := newSwitchingWorld(t, 2_000)
	running := w.load()
	w.release(next)
	w.until("switched", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == next })
	w.release(first)
	w.untilFenced(first)
	w.stop(running)
}

// newSwitchingWorld has the first version live.
func newSwitchingWorld(t *testing.T, events int) *world {
	t.Helper()
	return newReachableWorld(t, events, unchanged)
}

// newReachableWorld has a version live whose Service this machine reaches.
func newReachableWorld(t *testing.T, events int, change func(*v1alpha1.NawhasRelease)) *world {
	t.Helper()
	if !shared.Local() {
		t.Skip("this machine does not reach the Services of this cluster")
	}
	w := newWorld(t, events)
	w.create(change)
	w.untilFenced(w.Release(t).Spec.Version)
	w.until("reachable", func(*v1alpha1.NawhasRelease) bool {
		_, err := shared.ReadReciter(t.Context(), w.Namespace, "nawhas-api")
		return err == nil
	})
	return w
}

func (w *world) release(version string) {
	w.t.Helper()
	w.Change(w.t, func(r *v1alpha1.NawhasRelease) { r.Spec.Version = version })
}

func (w *world) untilFenced(version string) {
	w.t.Helper()
	w.until(version+" live and alone", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == version && r.Status.ObservedGeneration == r.Generation &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced)
	})
}

// underLoad is a load with the list of what it was told is written.
type underLoad struct {
	*load.Load
	list  *os.File
	after int64
}

func (w *world) load() *underLoad {
	w.t.Helper()
	return w.loadOf(load.Options{Readers: 4, ReadRate: 10, Writers: 4, WriteRate: 8})
}

func (w *world) loadOf(options load.Options) *underLoad {
	w.t.Helper()
	address, err := shared.Address(w.t.Context(), w.Namespace, "nawhas-api")
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := os.Create(filepath.Join(w.t.TempDir(), "acknowledged.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	u := &underLoad{list: list, after: w.count(w.sourceURL(), "SELECT max(position) FROM events")}
	options.URL, options.Acknowledged, options.Seed = address, list, 3
	u.Load = load.Start(w.t.Context(), options)
	return u
}

// stop ends the load, which must have noticed nothing, and audits everything.
func (w *world) stop(running *underLoad) {
	w.t.Helper()
	noticed := running.Stop()
	if noticed.Failed > 0 || noticed.Stale > 0 {
		w.t.Errorf("of %d requests %d failed, and %d own writes were not seen:\n%s", noticed.Requests, noticed.Failed, noticed.Stale,
			told(noticed.Failures))
	}
	found := w.auditAll(running)
	w.t.Logf("%d requests, %d acknowledged writes", noticed.Requests, found.Acknowledged)
}

// told are the first few failures.
func told(failures []load.Failure) string {
	var text strings.Builder
	for _, f := range failures[:min(len(failures), 10)] {
		fmt.Fprintln(&text, f)
	}
	return text.String()
}

// auditAll compares what the clients of a load that has ended know with the log
// and with every database, and returns the sums. Any difference is an error.
func (w *world) auditAll(running *underLoad) audited {
	w.t.Helper()
	_ = running.list.Close()
	writes, err := audit.Acknowledged(w.t.Context(), w.source(), running.list.Name(), running.after)
	if err != nil {
		w.t.Fatal(err)
	}
	if writes.Acknowledged == 0 || writes.Lost > 0 || writes.Surplus > 0 {
		w.t.Errorf("the log and the acknowledged writes differ: %+v", writes)
	}
	sums := audited{Acknowledged: writes.Acknowledged, Lost: writes.Lost, Duplicated: writes.Surplus}
	end := w.count(w.sourceURL(), "SELECT max(position) FROM events")
	for _, version := range w.Release(w.t).Status.Versions {
		w.until(fmt.Sprintf("%s at position %d", version.Version, end), func(*v1alpha1.NawhasRelease) bool {
			return w.count(w.at(version.Database), "SELECT position FROM checkpoint") == end
		})
		found := w.audit(version.Database, 0)
		sums.Lost, sums.Duplicated, sums.Reordered, sums.Wrong = sums.Lost+found.Lost, sums.Duplicated+found.Duplicated, sums.Reordered+found.Reordered, sums.Wrong+found.Wrong
	}
	return sums
}

// audited are the sums of an audit of the log and all databases.
type audited struct {
	Acknowledged int64 `json:"acknowledged"`
	Lost         int64 `json:"lost"`
	Duplicated   int64 `json:"duplicated"`
	Reordered    int64 `json:"reordered"`
	Wrong        int64 `json:"wrong"`
}
