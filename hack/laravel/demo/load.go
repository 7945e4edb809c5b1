package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	writers = 16
	// patience is how long a write is tried again that was refused, or whose pod
	// went away.
	patience = 30 * time.Second
)

// noticed is what clients noticed.
type noticed struct {
	acknowledged, failed, refused int64
	// created are the ids of the reciters that clients were told to have created.
	created      []string
	failures     []string
	began, ended time.Time
	// pause is the longest time between two acknowledgements.
	pause time.Duration
}

func (n noticed) rate() float64 { return float64(n.acknowledged) / n.ended.Sub(n.began).Seconds() }

// load is clients that write: create a reciter, change it, look at it, which the
// application stores as well.
type load struct {
	address string
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu   sync.Mutex
	seen noticed
	acks []time.Time
}

func startLoad(ctx context.Context, address string, rate float64) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{address: address, cancel: cancel, seen: noticed{began: time.Now()}}
	interval := time.Duration(float64(writers) / rate * float64(time.Second))
	for n := range writers {
		l.working.Go(func() {
			w := &writer{load: l, client: &http.Client{Timeout: patience}, n: n}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(n) * interval / writers):
			}
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				w.write(ctx)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	return l
}

func (l *load) stop() noticed {
	l.cancel()
	l.working.Wait()
	l.seen.ended = time.Now()
	slices.SortFunc(l.acks, time.Time.Compare)
	for i := 1; i < len(l.acks); i++ {
		l.seen.pause = max(l.seen.pause, l.acks[i].Sub(l.acks[i-1]))
	}
	return l.seen
}

type writer struct {
	*load
	client  *http.Client
	n       int
	created []string
}

// write is one write with its retries. What it creates is changed and looked at
// later on.
func (w *writer) write(ctx context.Context) {
	method, path, body := http.MethodPost, "/v1/reciters", map[string]string{"name": fmt.Sprintf("Client %d %d", w.n, rand.Int64())} //nolint:gosec // a name
	if len(w.created) > 0 {
		known := w.created[rand.IntN(len(w.created))] //nolint:gosec // spreads load
		switch rand.IntN(3) {                         //nolint:gosec // spreads load
		case 0:
			method, path, body = http.MethodPatch, "/v1/reciters/"+known, map[string]string{"description": fmt.Sprint(rand.Int64())} //nolint:gosec // a text
		case 1:
			method, path, body = http.MethodGet, "/v1/reciters/"+known, nil
		}
	}
	id, err := w.insist(ctx, method, path, body)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.seen.failed++
		if len(w.seen.failures) < 10 {
			w.seen.failures = append(w.seen.failures, fmt.Sprintf("%s %s: %v", method, path, err))
		}
		return
	}
	w.seen.acknowledged++
	w.acks = append(w.acks, time.Now())
	if method == http.MethodPost {
		w.created = append(w.created, id)
		w.seen.created = append(w.seen.created, id)
	}
}

// insist sends a request until it is answered, or the patience is over.
func (w *writer) insist(ctx context.Context, method, path string, body map[string]string) (id string, err error) {
	for until := time.Now().Add(patience); ; {
		var again bool
		id, again, err = w.send(ctx, method, path, body)
		if err == nil || !again || ctx.Err() != nil || time.Now().After(until) {
			return id, err
		}
		w.mu.Lock()
		w.seen.refused++
		w.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *writer) send(ctx context.Context, method, path string, body map[string]string) (id string, again bool, err error) {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return "", false, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, w.address+path, &content)
	if err != nil {
		return "", false, err
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return "", true, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", true, err
	}
	if answer.StatusCode != http.StatusOK {
		// A reciter that a version has not projected yet is not there for it.
		return "", answer.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("answered %d: %s", answer.StatusCode, text)
	}
	var told struct {
		ID string `json:"id"`
	}
	return told.ID, false, json.Unmarshal(text, &told)
}
