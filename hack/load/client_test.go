package load

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A server that refuses each write once: the client comes again under the same
// key, and every failed attempt is counted.
func TestARefusedWriteIsSentAgainUnderItsKey(t *testing.T) {
	var mu sync.Mutex
	attempts := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Nawhas-Version", "3.1.2")
		key := r.Header.Get("Idempotency-Key")
		mu.Lock()
		attempts[key]++
		first := attempts[key] == 1
		mu.Unlock()
		if key != "" && first {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"id": "018f3c2e-7b1a-7c3d-9e55-0242ac120002", "changed": true, "position": 7}`)
	}))
	defer server.Close()

	running := Start(t.Context(), Options{URL: server.URL, Writers: 1, WriteRate: 100, Acknowledged: io.Discard, Patience: time.Minute})
	for running.Acknowledged() < 3 {
		time.Sleep(time.Millisecond)
	}
	result := running.Stop()

	if result.Failed != result.Acknowledged || int64(len(result.Failures)) != result.Failed {
		t.Errorf("%d writes acknowledged, %d attempts failed, %d told", result.Acknowledged, result.Failed, len(result.Failures))
	}
	for _, f := range result.Failures {
		if !f.Refused || f.GivenUp {
			t.Errorf("not counted as refused and sent again: %s", f)
		}
	}
	delete(attempts, "")
	for key, n := range attempts {
		if n != 2 {
			t.Errorf("key %s was sent %d times", key, n)
		}
	}
}

// A client that is told to come again and again gives up in the end, and says so.
func TestARequestThatIsGivenUpIsTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	running := Start(t.Context(), Options{URL: server.URL, Readers: 1, ReadRate: 100, Acknowledged: io.Discard, Patience: 120 * time.Millisecond})
	time.Sleep(time.Second)
	result := running.Stop()

	last := len(result.Failures) - 1
	if last < 1 || result.Failures[0].GivenUp || !result.Failures[last].GivenUp {
		t.Errorf("of %d attempts these were given up: %+v", len(result.Failures), result.Failures)
	}
}
