package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

func TestAnOutageOfTheDatabasesIsSurvived(t *testing.T) {
	own, err := pgtest.Start()
	must(t, err)
	t.Cleanup(own.Close)
	w := newWorldOn(t, own)
	w.reciter("Nadeem", "nadeem")
	w.expect(200, "GET", "/v1/reciters/nadeem", "")

	own.Kill()
	for _, c := range [][3]string{{"GET", "/v1/reciters/nadeem", ""}, {"POST", "/v1/reciters", `{"name": "Ali"}`}} {
		if r := w.expect(503, c[0], c[1], c[2]); r.header.Get("Retry-After") == "" {
			t.Errorf("%s without Retry-After", c[0])
		}
	}
	w.expect(503, "GET", "/readyz", "")
	w.expect(200, "GET", "/healthz", "")

	must(t, own.Restart())
	w.eventually(200, "GET", "/readyz", "")
	w.eventually(200, "GET", "/v1/reciters/nadeem", "")
	w.eventually(201, "POST", "/v1/reciters", `{"name": "Ali"}`)
	if events := w.events(); len(events) != 1 {
		t.Errorf("the log has %d events", len(events))
	}
}

func (w *world) eventually(status int, method, path, body string) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		r := w.send(method, path, body)
		if r.status == status {
			return
		}
		if r.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			w.t.Fatalf("%s %s answered %d: %s", method, path, r.status, r.raw)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestCommandsAreRecordedOnceWhenSessionsDie sends commands with keys, again
// until they succeed, while the server's sessions are ended again and again.
func TestCommandsAreRecordedOnceWhenSessionsDie(t *testing.T) {
	const clients, each = 4, 12
	w := newWorld(t)
	kill := make(chan struct{}) // one killing for some requests, so that there is progress on a slow machine too
	var killer, senders sync.WaitGroup
	killer.Go(func() { w.endSessions(kill) })
	for c := range clients {
		senders.Go(func() {
			for i := range each {
				body, key := fmt.Sprintf(`{"name": "Reciter %d of %d"}`, i, c), uuid.NewString()
				if rand.IntN(2) == 0 {
					kill <- struct{}{}
				}
				w.until(http.StatusCreated, body, key)
				if rand.IntN(3) == 0 {
					w.until(http.StatusCreated, body, key)
				}
			}
		})
	}
	senders.Wait()
	close(kill)
	killer.Wait()
	names := map[any]int{}
	for _, event := range w.events() {
		names[event.Payload["attributes"].(map[string]any)["name"]]++
	}
	if len(names) != clients*each {
		t.Errorf("%d commands were recorded, want %d", len(names), clients*each)
	}
	for name, times := range names {
		if times != 1 {
			t.Errorf("%v was recorded %d times", name, times)
		}
	}
}

func (w *world) until(status int, body, key string) {
	for range 200 {
		r := w.send("POST", "/v1/reciters", body, "Idempotency-Key", key)
		switch r.status {
		case status:
			return
		case http.StatusServiceUnavailable:
			time.Sleep(5 * time.Millisecond)
		default:
			w.t.Errorf("answered %d: %s", r.status, r.raw)
			return
		}
	}
	w.t.Error("a command never succeeded")
}

func (w *world) endSessions(kill <-chan struct{}) {
	conn, err := pgx.Connect(w.t.Context(), w.source)
	for range kill {
		if err == nil {
			_, err = conn.Exec(w.t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", w.role)
		}
	}
	if err != nil {
		w.t.Errorf("end the server's sessions: %v", err)
		return
	}
	_ = conn.Close(w.t.Context())
}
