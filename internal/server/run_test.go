package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// started serves on a listener of its own until stop is called.
func (w *world) started() (address string, stop context.CancelFunc, ended <-chan error) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	metrics, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, listener, metrics) }()
	return listener.Addr().String(), stop, done
}

func TestAStoppingServerDrains(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ReadWait, o.ShutdownDelay = 10*time.Second, 300*time.Millisecond })
	w.reciter("Nadeem", "nadeem")
	address, stop, ended := w.started()

	idle := dial(t, address)
	if status, closes := idle.get(t, "/readyz"); status != 200 || closes {
		t.Fatalf("before the stop: %d, close %t", status, closes)
	}
	waiting := make(chan int, 1)
	go func() {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/reciters/nadeem", nil)
		request.Header.Set("Nawhas-Position", "9")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			waiting <- 0
			return
		}
		_ = response.Body.Close()
		waiting <- response.StatusCode
	}()
	for w.server.tide.waiters() == 0 {
		time.Sleep(time.Millisecond)
	}

	stop()
	for !w.server.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	// A connection from before is still answered, told that it is over, and closed.
	if status, closes := idle.get(t, "/readyz"); status != 503 || !closes {
		t.Errorf("during the delay: %d, close %t", status, closes)
	}
	if status, closes := dial(t, address).get(t, "/v1/reciters/nadeem"); status != 200 || !closes {
		t.Errorf("a new connection during the delay: %d, close %t", status, closes)
	}
	// The request that was running gets its answer, although the server stops listening.
	time.Sleep(2 * w.server.options.ShutdownDelay)
	w.reach(9)
	if status := <-waiting; status != 200 {
		t.Errorf("the running request was answered %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("serving ended with %v", err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the server still listens")
	}
}

func TestRequestsThatDoNotEndAreCutOff(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ReadWait, o.DrainTimeout = 8*time.Second, 100*time.Millisecond })
	address, stop, ended := w.started()
	conn := dial(t, address)
	conn.send(t, "GET", "/v1/reciters", "Nawhas-Position: 9\r\n")
	for w.server.tide.waiters() == 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "--drain-timeout") {
		t.Errorf("serving ended with %v", err)
	}
}

func TestABrokenListenerIsTold(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_ = listener.Close()
	if err := w.server.Serve(t.Context(), listener, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serving ended with %v", err)
	}
}

// keptAlive is one connection that is used for one request after the other.
type keptAlive struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, address string) *keptAlive {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &keptAlive{conn, bufio.NewReader(conn)}
}

func (k *keptAlive) send(t *testing.T, method, path, headers string) {
	t.Helper()
	_, err := fmt.Fprintf(k.conn, "%s %s HTTP/1.1\r\nHost: nawhas\r\n%s\r\n", method, path, headers)
	must(t, err)
}

// get tells the status, and whether the server closes the connection.
func (k *keptAlive) get(t *testing.T, path string) (status int, closes bool) {
	t.Helper()
	k.send(t, "GET", path, "")
	response, err := http.ReadResponse(k.reader, nil)
	must(t, err)
	_ = response.Body.Close()
	return response.StatusCode, response.Close
}
