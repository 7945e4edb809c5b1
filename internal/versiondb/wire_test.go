package versiondb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

var errCut = errors.New("the wire is cut")

// wire carries the messages of one operator process to its servers and dies
// with the nth of them: before it is sent, or after it was obeyed and before
// its answer is read.
type wire struct {
	mu     sync.Mutex
	sent   int
	last   int
	obeyed bool
	cut    bool
	conns  []net.Conn
}

// connect opens a connection over the wire. Its greeting does not count.
func (w *wire) connect(t *testing.T, config *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	last := w.last
	w.last = 0
	conn, err := pgx.ConnectConfig(t.Context(), w.over(config))
	if err != nil {
		t.Fatal(err)
	}
	w.last, w.sent = last, 0
	return conn
}

// over makes a configuration go over the wire.
func (w *wire) over(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cut {
			_ = conn.Close()
			return nil, errCut
		}
		w.conns = append(w.conns, conn)
		return &wireConn{Conn: conn, wire: w}, nil
	}
	return config
}

// die closes every connection, as the end of the process does.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

type wireConn struct {
	net.Conn
	wire *wire
}

func (c *wireConn) Write(message []byte) (int, error) {
	c.wire.mu.Lock()
	c.wire.sent++
	isLast := c.wire.sent == c.wire.last
	c.wire.mu.Unlock()
	if !isLast {
		return c.Conn.Write(message)
	}
	if c.wire.obeyed {
		if _, err := c.Conn.Write(message); err == nil {
			_, _ = c.Read(make([]byte, 1<<16)) // the answer shows that it was obeyed
		}
	}
	c.wire.die()
	return 0, errCut
}

// step is what a process does over its wire, and what must hold after it was
// killed and the same was done again.
type step struct {
	do        func(t *testing.T, w *wire) error
	recovered func(t *testing.T)
}

// killedAnywhere runs a step in processes that are killed at their first
// message, their second and so on, until one gets through.
func killedAnywhere(t *testing.T, begin func(t *testing.T) step) {
	t.Helper()
	for _, obeyed := range []bool{false, true} {
		killed := 0
		for last, through := 1, false; !through; last++ {
			ok := t.Run(fmt.Sprintf("message %d, obeyed %v", last, obeyed), func(t *testing.T) {
				s := begin(t)
				w := &wire{last: last, obeyed: obeyed}
				err := s.do(t, w)
				through = !w.cut
				w.die()
				if through && err != nil {
					t.Fatalf("nothing went wrong, but: %v", err)
				}
				if err != nil {
					killed++
				}
				s.recovered(t)
			})
			if !ok {
				t.FailNow()
			}
		}
		if killed < 5 {
			t.Errorf("killed at %d places only", killed)
		}
	}
}
