package release

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// hanging takes requests and answers none, until they are ended.
type hanging struct {
	*httptest.Server
	taken, ended atomic.Int32
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{}
	over := make(chan struct{})
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.taken.Add(1)
		select {
		case <-r.Context().Done():
			h.ended.Add(1)
		case <-over:
		}
	}))
	t.Cleanup(func() {
		close(over)
		h.Close()
	})
	return h
}

// eventually waits for what is done beside the test.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
	}
}

// anAsker is one that wakes releases through a queue of its own.
func anAsker(t *testing.T) (*metricAsker, workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	asker := newMetricAsker()
	if err := asker.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asker.close)
	return asker, queue
}

func questionOf(address string) metricQuestion {
	return metricQuestion{name: "errors", address: address, query: "errors", max: "0.05", lasting: 10 * time.Second}
}

func releaseNamed(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "library", Name: name}
}

func TestAPrometheusThatHangsDelaysNoOtherRelease(t *testing.T) {
	t.Parallel()
	silent, p := newHanging(t), newPrometheusOf(t, "0.3")
	asker, queue := anAsker(t)
	stuck, other := releaseNamed("stuck"), releaseNamed("other")

	started := time.Now()
	for second := range 3 {
		now := noon.Add(time.Duration(second) * time.Second)
		if answers := asker.ask(stuck, []metricQuestion{questionOf(silent.URL)}, now, false); answers[0] != nil {
			t.Errorf("it knows %+v", answers[0])
		}
		asker.ask(other, []metricQuestion{questionOf(p.URL)}, now, false)
	}
	if took := time.Since(started); took > metricTimeout/2 {
		t.Errorf("asking took %s", took)
	}

	eventually(t, "answered", func() bool {
		answers := asker.ask(other, []metricQuestion{questionOf(p.URL)}, noon.Add(2*time.Second), false)
		return answers[0] != nil && answers[0].failed != ""
	})
	if woken, _ := queue.Get(); woken.NamespacedName != other {
		t.Errorf("%s is woken", woken.NamespacedName)
	}
	if taken := silent.taken.Load(); taken != 1 {
		t.Errorf("%d requests were under way at once", taken)
	}
	eventually(t, "given up", func() bool {
		answers := asker.ask(stuck, []metricQuestion{questionOf(silent.URL)}, noon.Add(2*time.Second), false)
		return answers[0] != nil && answers[0].err != nil
	})
}

// An answer counts for as long as it is fresh, and only for what was asked.
func TestAnOldAnswerDoesNotCount(t *testing.T) {
	t.Parallel()
	p := newPrometheusOf(t, "0.3")
	asker, _ := anAsker(t)
	asker.spawn = func(run func()) { run() }
	question := questionOf(p.URL)
	if answers := asker.ask(releaseNamed("a"), []metricQuestion{question}, noon, false); answers[0] == nil || answers[0].failed == "" {
		t.Fatalf("it knows %+v", answers[0])
	}
	asker.spawn = func(func()) { asker.requests.Done() } // no answer comes any more
	otherLimit := question
	otherLimit.max = "0.5"
	for what, c := range map[string]struct {
		release types.NamespacedName
		at      time.Time
		counts  bool
	}{
		"a moment later":      {releaseNamed("a"), noon.Add(metricFresh), true},
		"long afterwards":     {releaseNamed("a"), noon.Add(metricFresh + time.Second), false},
		"for another release": {releaseNamed("b"), noon, false},
	} {
		if answers := asker.ask(c.release, []metricQuestion{question}, c.at, false); (answers[0] != nil) != c.counts {
			t.Errorf("%s: it knows %+v", what, answers[0])
		}
	}
	if answers := asker.ask(releaseNamed("a"), []metricQuestion{otherLimit}, noon, false); answers[0] != nil {
		t.Errorf("with another limit it knows %+v", answers[0])
	}
}

// A request ends when nobody wants its answer any more, and with the operator.
func TestRequestsEndWithWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	silent := newHanging(t)
	asker, queue := anAsker(t)
	questions := []metricQuestion{questionOf(silent.URL)}
	for i, end := range []func(){func() { asker.forget(releaseNamed("a")) }, func() { asker.ask(releaseNamed("a"), nil, noon, false) }, asker.close} {
		asker.ask(releaseNamed("a"), questions, noon, true)
		eventually(t, "asked", func() bool { return silent.taken.Load() == int32(i)+1 })
		end()
		eventually(t, "ended", func() bool { return silent.ended.Load() == int32(i)+1 })
	}
	if len(asker.asked[releaseNamed("a")]) > 1 || queue.Len() > 0 {
		t.Errorf("%d questions and %d releases to wake are left", len(asker.asked), queue.Len())
	}
	if asker.ask(releaseNamed("a"), questions, noon.Add(time.Minute), true); silent.taken.Load() != 3 {
		t.Error("it asks after its end")
	}
}

// Passes over many releases ask at once: this is for the race detector.
func TestManyPassesAskAtOnce(t *testing.T) {
	t.Parallel()
	p := newPrometheusOf(t, "0.01")
	asker, _ := anAsker(t)
	var passes sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "a"} {
		passes.Go(func() {
			for second := range 20 {
				asker.ask(releaseNamed(name), []metricQuestion{questionOf(p.URL)}, noon.Add(time.Duration(second)*time.Second), second == 19)
			}
			asker.forget(releaseNamed(name))
		})
	}
	passes.Wait()
}

// The watch goes on past its end until Prometheus has said, or not said, how it
// ended; the passes meanwhile do not wait.
func TestAPassDoesNotWaitForPrometheus(t *testing.T) {
	silent := newHanging(t)
	w := twoVersions(t, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.Checks = []v1alpha1.MetricCheck{{Name: "errors", Max: "0.05", Prometheus: v1alpha1.PrometheusQuery{Address: silent.URL, Query: "errors"}}}
	})
	var requests sync.WaitGroup
	w.reconciler.asker.spawn = func(run func()) { requests.Go(run) }
	w.goOnWithTheServers()
	w.kubelet.wait(3 * time.Minute)

	asked := silent.taken.Load()
	started := time.Now()
	_, err := w.pass()
	w.must(err)
	if took := time.Since(started); took >= metricTimeout {
		t.Errorf("the pass took %s", took)
	}
	eventually(t, "asked", func() bool { return silent.taken.Load() > asked })
	if versionOf(w.get(), "3.2.0").ObservedUntil == nil {
		t.Error("the watch is over without a word from Prometheus")
	}
	requests.Wait()
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" || versionOf(release, "3.2.0").ObservedUntil != nil || !w.recorded("MetricUnknown") {
		t.Errorf("it does not come to its end:\n%s", w.told())
	}
}
