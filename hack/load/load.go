// Package load keeps readers and writers busy at the HTTP API while versions
// come and go, and tells what they noticed: requests that failed, writes that
// were not seen by the one who made them, and which version answered when.
//
// It measures from outside, as a client: over keep-alive connections, through
// the Service. What became of the acknowledged writes in the databases is the
// audit's business.
package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options say how much load there is. The rates are of each worker, in requests
// per second; a worker has one request at a time.
type Options struct {
	// URL is the address of the Service, without a path.
	URL              string
	Readers, Writers int
	ReadRate         float64
	// WriteRate counts writes; each is followed by a read of what was written.
	WriteRate float64
	// Acknowledged gets a line of JSON for each acknowledged write.
	Acknowledged io.Writer
	// Seed spreads the workers over time.
	Seed uint64
}

// Write is an acknowledged write: the event is in the log, says the version.
type Write struct {
	At       time.Time `json:"at"`
	Event    uuid.UUID `json:"event"`
	Entity   uuid.UUID `json:"entity"`
	Position int64     `json:"position"`
	Version  string    `json:"version"`
}

// Load is a running load.
type Load struct {
	options Options
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex
	result Result
	encode *json.Encoder
}

// Result is what the clients noticed.
type Result struct {
	Requests, Acknowledged int64
	Failed, Stale          int64
	// Failures are the first few failed requests, for people.
	Failures []string
	// Answers are the times of all answers by version.
	Answers map[string][]time.Time
}

// Start begins the load. It goes on until Stop.
func Start(ctx context.Context, o Options) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{options: o, cancel: cancel, result: Result{Answers: map[string][]time.Time{}}, encode: json.NewEncoder(o.Acknowledged)}
	random := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // spreads load
	for range o.Readers {
		l.run(ctx, &reader{client: newClient(o.URL, l)}, o.ReadRate, random.Float64())
	}
	for range o.Writers {
		l.run(ctx, &writer{client: newClient(o.URL, l)}, o.WriteRate, random.Float64())
	}
	return l
}

// worker makes one round of requests.
type worker interface{ work(ctx context.Context) }

// run lets a worker work at its rate. Phase, from 0 to 1, is when in its first
// interval it begins.
func (l *Load) run(ctx context.Context, w worker, rate, phase float64) {
	interval := time.Duration(float64(time.Second) / rate)
	l.workers.Go(func() {
		pause := time.NewTimer(time.Duration(phase * float64(interval)))
		defer pause.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			pause.Reset(interval)
			// A round that was begun comes to its end: what was sent may be in the log.
			w.work(context.WithoutCancel(ctx))
		}
	})
}

// Stop ends the load and returns what was noticed.
func (l *Load) Stop() Result {
	l.cancel()
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result
}

// Acknowledged is the number of writes so far.
func (l *Load) Acknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result.Acknowledged
}

func (l *Load) answered(at time.Time, version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Requests++
	l.result.Answers[version] = append(l.result.Answers[version], at)
}

const failuresKept = 10

func (l *Load) failed(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Requests++
	l.result.Failed++
	if len(l.result.Failures) < failuresKept {
		l.result.Failures = append(l.result.Failures, fmt.Sprintf("%s %s: %v", time.Now().UTC().Format(time.RFC3339Nano), what, err))
	}
}

func (l *Load) stale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Stale++
}

// acknowledged notes a write before anything else is asked, so that the list
// has all that clients know of.
func (l *Load) acknowledged(w Write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Acknowledged++
	if err := l.encode.Encode(w); err != nil {
		fmt.Fprintln(os.Stderr, "load: note an acknowledged write:", err)
	}
}

// Overlap is how long two versions answered side by side after a moment: from
// the first answer of the new version to the last one of the old, and how long
// it took from the moment to that last one.
func (r *Result) Overlap(after, before time.Time, from, to string) (overlap, total time.Duration) {
	first, last := time.Time{}, time.Time{}
	for _, at := range r.Answers[to] {
		if at.After(after) && at.Before(before) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, at := range r.Answers[from] {
		if at.After(after) && at.Before(before) && at.After(last) {
			last = at
		}
	}
	if first.IsZero() || last.IsZero() {
		return 0, 0
	}
	return max(0, last.Sub(first)), last.Sub(after)
}
