package projection_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// A pooler tells its clients a process number of its own.
func TestAPooledConnectionIsRefused(t *testing.T) {
	from, _ := generated(t, 10, 1)
	o, conn := migrated(t, from)
	for name, pool := range map[string]*string{"the source": &o.Source, "the version's database": &o.Database} {
		direct := *pool
		*pool = pooled(t, direct)
		_, err := projection.Replay(t.Context(), o)
		if refused, ok := errors.AsType[*projection.PooledError](err); !ok || refused.Database != name {
			t.Errorf("%s through a pooler: %v", name, err)
		}
		*pool = direct
	}
	if position := count(t, conn, "SELECT position FROM checkpoint"); position != 0 {
		t.Errorf("the checkpoint is at %d", position)
	}
}

// pooled listens in front of a server and answers as a pooler does.
func pooled(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	target := u.Host
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pool(client, target)
		}
	}()
	u.Host = listener.Addr().String()
	return u.String()
}

func pool(client net.Conn, target string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(server, client) }()
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		// BackendKeyData: the process and a secret.
		if head[0] == 'K' {
			binary.BigEndian.PutUint32(body, binary.BigEndian.Uint32(body)+1_000_000)
		}
		if _, err := client.Write(append(head, body...)); err != nil {
			return
		}
	}
}
