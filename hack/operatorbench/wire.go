package main

import (
	"fmt"
	"net"
	"sync"
)

// wire passes bytes on to a server until it is held: then it takes what comes
// and gives nothing back, as a server that hangs does.
type wire struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	release *sync.Cond
	held    bool
	open    map[net.Conn]bool
}

func newWire(target string) (*wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of a source: %w", err)
	}
	w := &wire{listener: listener, target: target, open: map[net.Conn]bool{}}
	w.release = sync.NewCond(&w.mu)
	go w.accept()
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) hold(held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = held
	w.release.Broadcast()
}

func (w *wire) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.held {
		w.release.Wait()
	}
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.serve(client)
	}
}

func (w *wire) serve(client net.Conn) {
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		_ = client.Close()
		return
	}
	w.track(true, client, server)
	defer w.track(false, client, server)
	go w.copy(server, client)
	w.copy(client, server)
}

// copy passes on what a side says.
func (w *wire) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		w.pass()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (w *wire) track(open bool, conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		if open {
			w.open[conn] = true
		} else {
			delete(w.open, conn)
		}
	}
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.hold(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.open {
		_ = conn.Close()
	}
}
