package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// ErrNotLocal refuses an address that others than this machine could reach.
var ErrNotLocal = errors.New("the dashboard asks nobody who they are, and shows what your rights let it read: its address must be of this machine, " +
	"such as 127.0.0.1:8080. To see it from elsewhere, forward the port: ssh -L 8080:127.0.0.1:8080 …")

// Listen opens the address, host:port with a host of this machine. Port 0 is
// any that is free.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read address %q (it should be host:port, such as 127.0.0.1:8080): %w", address, err)
	}
	if parsed, err := netip.ParseAddr(host); !strings.EqualFold(host, "localhost") && (err != nil || !parsed.IsLoopback()) {
		return nil, ErrNotLocal
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// Serve answers on the listener until the context ends. Pages that are open
// then are cut off; they say so and try again.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the dashboard: %w", err)
	}
	return nil
}
