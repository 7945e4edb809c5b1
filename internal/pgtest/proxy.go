package pgtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands between clients and a server and breaks their connections at a
// chosen message, as a killed process or a lost network does.
type Proxy struct {
	listener net.Listener
	target   string

	mu       sync.Mutex
	messages int
	// cutAt is the message of a client at which its connection breaks, 0 for none.
	cutAt int
	// deliver has the last message reach the server before the connection breaks.
	deliver bool
	broken  chan struct{}
	open    map[net.Conn]bool
}

// NewProxy listens in front of the server at a URL and returns the URL to use
// instead.
func NewProxy(t testing.TB, server string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: u.Host, broken: make(chan struct{}), open: map[net.Conn]bool{}}
	t.Cleanup(p.close)
	go p.accept()
	u.Host = listener.Addr().String()
	return p, u.String()
}

// CutAt breaks the connection of the client that sends the n-th message from
// now, once. If deliver is set the server still gets that message: a COMMIT is
// carried out, but its client never knows. The channel is closed when it is done.
func (p *Proxy) CutAt(n int, deliver bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages, p.cutAt, p.deliver, p.broken = 0, n, deliver, make(chan struct{})
	return p.broken
}

// Messages counts what clients have sent since the last CutAt.
func (p *Proxy) Messages() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.track(client, server, true)
	defer p.track(client, server, false)
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	_ = p.forward(client, server)
	_ = client.Close()
	_ = server.Close()
}

func (p *Proxy) track(client, server net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range []net.Conn{client, server} {
		if open {
			p.open[conn] = true
		} else {
			delete(p.open, conn)
		}
	}
}

// forward passes on the client's messages one by one. The first has no type.
func (p *Proxy) forward(client, server net.Conn) error {
	for header := 4; ; header = 5 {
		head := make([]byte, header)
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[header-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return err
		}
		cut, deliver := p.count()
		if cut && !deliver {
			return io.EOF
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return err
		}
		if cut {
			return io.EOF
		}
	}
}

// count tells whether the connection is to break at this message.
func (p *Proxy) count() (cut, deliver bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages++
	if p.cutAt == 0 || p.messages != p.cutAt {
		return false, false
	}
	p.cutAt = 0
	close(p.broken)
	return true, p.deliver
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		_ = conn.Close()
	}
}

// String names the proxy in messages of a test.
func (p *Proxy) String() string { return fmt.Sprintf("proxy of %s", p.target) }
