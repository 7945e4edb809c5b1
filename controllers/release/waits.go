package release

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// waits adds up how long a pass waits for somebody. What overlaps counts once.
type waits struct {
	mu    sync.Mutex
	depth int
	since time.Time
	total time.Duration
}

// waited is what a pass waits for.
type waited struct{ databases, apiServer waits }

type waitedKey struct{}

func withWaits(ctx context.Context) (context.Context, *waited) {
	w := &waited{}
	return context.WithValue(ctx, waitedKey{}, w), w
}

// databasesWaits is nil outside of a pass, which counts nothing.
func databasesWaits(ctx context.Context) *waits {
	if w, ok := ctx.Value(waitedKey{}).(*waited); ok {
		return &w.databases
	}
	return nil
}

func apiServerWaits(ctx context.Context) *waits {
	if w, ok := ctx.Value(waitedKey{}).(*waited); ok {
		return &w.apiServer
	}
	return nil
}

func (w *waits) begin() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.depth++; w.depth == 1 {
		w.since = time.Now()
	}
}

func (w *waits) end() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.depth--; w.depth == 0 {
		w.total += time.Since(w.since)
	}
}

func (w *waits) sum() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

// MeasureRequests wraps the transport of a client, so that passes know how long
// they waited for the API server.
func MeasureRequests(next http.RoundTripper) http.RoundTripper { return measured{next} }

type measured struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (m measured) RoundTrip(request *http.Request) (*http.Response, error) {
	w := apiServerWaits(request.Context())
	w.begin()
	defer w.end()
	return m.next.RoundTrip(request)
}
