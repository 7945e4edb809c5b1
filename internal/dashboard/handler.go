package dashboard

import (
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// policy lets the page load what is embedded here and nothing else, not even
// scripts and styles within the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page and what it shows, for reading only.
func Handler(feed *Feed) http.Handler {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // The folder is embedded under this name.
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", feed.serveEvents)
	return guarded(mux)
}

// guarded refuses requests for another host and sets what browsers are told.
// A page of a stranger can make its own name mean this machine (DNS rebinding)
// and would then be allowed to read what it gets; but it cannot make its
// browser ask for localhost.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !isThisMachine(r.Host) {
			http.Error(w, "This page answers only to localhost and 127.0.0.1. Open it under the address that the program printed.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isThisMachine reports whether a host, with or without a port, can mean
// nothing but the machine of whoever asks.
func isThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// How a page is kept up to date.
const (
	// heartbeat is how often something is sent when nothing changes, so that
	// both ends notice when the other is gone.
	heartbeat = 15 * time.Second
	// sendTimeout is the longest that a page may take to accept a message.
	sendTimeout = 10 * time.Second
)

// serveEvents sends the state, and again whenever it changes, until the page is
// closed.
func (f *Feed) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	changed, stop := f.listen()
	defer stop()
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	stream := &eventStream{w: w, control: http.NewResponseController(w)}
	seen := int64(nothing)
	for {
		encoded, next, err := f.since(seen)
		if err != nil || stream.send("data: %s\n\n", encoded) != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-r.Context().Done():
				return
			case <-changed:
				waiting = false
			case <-beats.C:
				if stream.send(": nothing new\n\n") != nil {
					return
				}
			}
		}
		seen = next
	}
}

type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *eventStream) send(format string, args ...any) error {
	// Where deadlines are not supported a slow page is waited for.
	_ = s.control.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.control.Flush()
}
