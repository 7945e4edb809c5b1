// Package pgproxy stands between programs and a Postgres server, names every
// statement that writes as it passes, and ends the program there when a
// [killpoint.Book] says so.
//
// It works on the wire, so that nothing a program does escapes it: prepared and
// pipelined statements, COPY, and commits, which are named after the first
// statement of their transaction. It changes no message. What an ended program
// had sent is delivered or not, whole messages at a time, as by a lost network.
package pgproxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// Owner is the process behind a connection.
type Owner interface {
	// Program names what the process runs.
	Program() string
	// End kills the process.
	End()
	// Stall stops the process and returns when it goes on again, after others had
	// the time to take its place.
	Stall()
}

// Proxy is a set of listeners in front of one server. It is safe for concurrent
// use.
type Proxy struct {
	target string
	book   *killpoint.Book
	// delay is what every message of a client waits for, in nanoseconds.
	delay atomic.Int64

	mu        sync.Mutex
	listeners []net.Listener
}

// New makes a proxy in front of the server at an address.
func New(target string, book *killpoint.Book) *Proxy { return &Proxy{target: target, book: book} }

// Listen opens a listener and returns its address. Whose a connection is that
// comes there is asked with the client's address.
func (p *Proxy) Listen(owner func(client net.Addr) Owner) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen in front of Postgres: %w", err)
	}
	p.mu.Lock()
	p.listeners = append(p.listeners, listener)
	p.mu.Unlock()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client, owner)
		}
	}()
	return listener.Addr().String(), func() { _ = listener.Close() }, nil
}

// Slow has every message of every client wait from now on, none at 0.
func (p *Proxy) Slow(by time.Duration) { p.delay.Store(int64(by)) }

// Close ends all listeners.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, listener := range p.listeners {
		_ = listener.Close()
	}
}

func (p *Proxy) serve(client net.Conn, owner func(net.Addr) Owner) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	s := &session{proxy: p, client: client, server: server, owner: owner(client.RemoteAddr()), prepared: map[string]string{}, portals: map[string]string{}}
	go s.answers()
	s.questions()
}
