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
	// Newcomers read over a new connection each time, NewcomerRate times a second.
	Newcomers    int
	NewcomerRate float64
	// Patience is how long a request that failed is sent again, writes under their
	// key. Each attempt that failed is counted. 0 means that it is not.
	Patience time.Duration
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
	// Began and Ended are the time of the load.
	Began, Ended           time.Time
	Requests, Acknowledged int64
	Failed, Stale          int64
	// Failures are all failed attempts, in order.
	Failures []Failure
	// Answers are the times of all answers by version.
	Answers map[string][]time.Time
	// Writes are the acknowledged writes, and Newcomers the reads over new
	// connections, both by their end.
	Writes, Newcomers []Exchange
}

// Failure is an attempt that did not come to what it was for.
type Failure struct {
	At   time.Time
	What string
	Err  error
	// Refused says that the version answered "not now", and when to come again.
	Refused bool
	// GivenUp says that the request was not sent again.
	GivenUp bool
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s: %v", f.At.UTC().Format(time.RFC3339Nano), f.What, f.Err)
}

// Exchange is one request with its answer, all attempts together.
type Exchange struct {
	Began, Ended time.Time
	// Version is the one that answered.
	Version string
}

// Start begins the load. It goes on until Stop.
func Start(ctx context.Context, o Options) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{options: o, cancel: cancel, result: Result{Began: time.Now(), Answers: map[string][]time.Time{}}, encode: json.NewEncoder(o.Acknowledged)}
	random := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // spreads load
	for range o.Readers {
		l.run(ctx, &reader{client: newClient(o.URL, l)}, o.ReadRate, random.Float64())
	}
	for range o.Writers {
		l.run(ctx, &writer{client: newClient(o.URL, l)}, o.WriteRate, random.Float64())
	}
	for range o.Newcomers {
		l.run(ctx, &newcomer{client: newNewcomer(o.URL, l)}, o.NewcomerRate, random.Float64())
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
	l.result.Ended = time.Now()
	return l.result
}

// Acknowledged is the number of writes so far.
func (l *Load) Acknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result.Acknowledged
}

func (l *Load) sent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Requests++
}

func (l *Load) answered(at time.Time, version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Answers[version] = append(l.result.Answers[version], at)
}

func (l *Load) failed(f Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Failed++
	l.result.Failures = append(l.result.Failures, f)
}

func (l *Load) came(e Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Newcomers = append(l.result.Newcomers, e)
}

func (l *Load) stale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Stale++
}

// acknowledged notes a write before anything else is asked, so that the list
// has all that clients know of.
func (l *Load) acknowledged(w Write, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Acknowledged++
	l.result.Writes = append(l.result.Writes, Exchange{Began: began, Ended: w.At, Version: w.Version})
	if err := l.encode.Encode(w); err != nil {
		fmt.Fprintln(os.Stderr, "load: note an acknowledged write:", err)
	}
}
