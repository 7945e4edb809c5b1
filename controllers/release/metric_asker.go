package release

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/nawhas/nawhas-operator/internal/metricquery"
)

const (
	// metricTimeout bounds how long Prometheus is waited for, for one answer.
	metricTimeout = 3 * time.Second
	// metricFresh is how old an answer may be to count: a release that was not
	// looked at for longer is asked about again.
	metricFresh = 5 * time.Second
)

// metricQuestion is what a check asks of one time that a version is live. Another
// limit is another question.
type metricQuestion struct {
	name, address, query, max, min string
	lasting                        time.Duration
	// liveSince is when the version went live, in microseconds.
	liveSince int64
}

// metricAnswer is how a check stood: how it failed, nothing when it did not, and
// an error when that is not known.
type metricAnswer struct {
	// to is the end of the time that was asked about.
	to     time.Time
	failed string
	err    error
}

// asking is what was asked and answered of one question.
type asking struct {
	// to is the end of the time that was asked about last.
	to time.Time
	// outstanding says that the answer to that is not there yet.
	outstanding bool
	answer      *metricAnswer
	ctx         context.Context //nolint:containedctx // ends the request when nobody wants the answer any more
	cancel      context.CancelFunc
}

// metricAsker asks Prometheus beside the passes, so that one that does not answer
// holds none of them. At most one request is under way for each question. It is
// safe for concurrent use.
type metricAsker struct {
	client metricquery.Client
	// spawn runs a request; tests wait for it.
	spawn func(run func())

	mu       sync.Mutex
	ctx      context.Context //nolint:containedctx // ends all requests with the operator
	cancel   context.CancelFunc
	requests sync.WaitGroup
	queue    workqueue.TypedRateLimitingInterface[reconcile.Request]
	asked    map[types.NamespacedName]map[metricQuestion]*asking
}

func newMetricAsker() *metricAsker {
	a := &metricAsker{spawn: func(run func()) { go run() }, asked: map[types.NamespacedName]map[metricQuestion]*asking{}}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// Start implements source.Source: answers wake their release from now on, and
// nobody is asked any more when the controller ends.
func (a *metricAsker) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = queue
	context.AfterFunc(ctx, a.cancel)
	return nil
}

// close ends all requests.
func (a *metricAsker) close() {
	a.mu.Lock()
	a.cancel()
	a.mu.Unlock()
	a.requests.Wait()
}

// forget drops what a release asked: it is gone, or nobody is watched.
func (a *metricAsker) forget(release types.NamespacedName) { a.keep(release, nil) }

// ask has the questions asked that are due at a time, and tells the newest answer
// to each that is fresh, nil for those without one. The last time that is asked
// about has its own answer. Questions that are asked no more are dropped.
func (a *metricAsker) ask(release types.NamespacedName, questions []metricQuestion, to time.Time, last bool) []*metricAnswer {
	a.keep(release, questions)
	for _, question := range questions {
		if begun := a.begin(release, question, to, last); begun != nil {
			a.spawn(func() {
				defer a.requests.Done()
				a.request(release, question, begun, to, last)
			})
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	answers := make([]*metricAnswer, len(questions))
	for i, question := range questions {
		if known := a.asked[release][question]; known != nil && known.answer != nil && to.Sub(known.answer.to) <= metricFresh {
			answers[i] = known.answer
		}
	}
	return answers
}

// keep drops all questions of a release but these.
func (a *metricAsker) keep(release types.NamespacedName, questions []metricQuestion) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for question, known := range a.asked[release] {
		if !slices.Contains(questions, question) {
			known.cancel()
			delete(a.asked[release], question)
		}
	}
	if len(a.asked[release]) == 0 {
		delete(a.asked, release)
	}
}

// begin notes that a question is asked now, nil when it is not due.
func (a *metricAsker) begin(release types.NamespacedName, question metricQuestion, to time.Time, last bool) *asking {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.asked[release][question]
	switch {
	case a.ctx.Err() != nil:
		return nil
	case known == nil:
		known = &asking{}
		known.ctx, known.cancel = context.WithCancel(a.ctx)
		if a.asked[release] == nil {
			a.asked[release] = map[metricQuestion]*asking{}
		}
		a.asked[release][question] = known
	case known.outstanding || to.Sub(known.to) < pollProgress && (!last || !to.After(known.to)):
		return nil
	}
	known.to, known.outstanding = to, true
	a.requests.Add(1)
	return known
}

// request asks, and keeps the answer. A release that has something to decide by it
// is woken.
func (a *metricAsker) request(release types.NamespacedName, question metricQuestion, begun *asking, to time.Time, last bool) {
	ctx, cancel := context.WithTimeout(begun.ctx, metricTimeout)
	defer cancel()
	answer := &metricAnswer{to: to}
	values, err := a.client.Range(ctx, question.address, question.query, to.Add(-question.lasting), to, question.lasting/metricPoints)
	if err != nil {
		answer.err = err
	} else {
		answer.failed, answer.err = judgeMetric(question, values)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	begun.outstanding, begun.answer = false, answer
	if a.queue != nil && begun.ctx.Err() == nil && (last || answer.failed != "") {
		a.queue.Add(reconcile.Request{NamespacedName: release})
	}
}
