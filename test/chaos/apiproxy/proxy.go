// Package apiproxy stands between an operator and an API server, names every
// write as it passes, and ends the operator there when a [killpoint.Book] says
// so. It can also be away for a while, as an API server that is restarted.
//
// It speaks plain HTTP to the operator and has the rights of whoever's
// configuration it is given.
package apiproxy

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// Owner is the process whose requests come here.
type Owner interface {
	Program() string
	End()
	Stall()
}

// Proxy is in front of one API server, for one process.
type Proxy struct {
	// URL is where the process finds the API server.
	URL string

	book    *killpoint.Book
	owner   Owner
	forward *httputil.ReverseProxy
	server  *http.Server
	away    atomic.Bool
	// outage ends the requests that are under way when an outage begins.
	outage atomic.Pointer[context.CancelFunc]
	base   atomic.Pointer[context.Context]
}

// Start listens on the loopback address.
func Start(config *rest.Config, book *killpoint.Book, owner Owner) (*Proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of the API server: %w", err)
	}
	p := &Proxy{URL: "http://" + listener.Addr().String(), book: book, owner: owner}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches are streams
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.renew()
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// Close ends all requests.
func (p *Proxy) Close() {
	(*p.outage.Load())()
	_ = p.server.Close()
}

// Outage has all requests fail, those under way too, for a while.
func (p *Proxy) Outage(ctx context.Context, d time.Duration) {
	p.away.Store(true)
	(*p.outage.Load())()
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	p.renew()
	p.away.Store(false)
}

func (p *Proxy) renew() {
	ctx, cancel := context.WithCancel(context.Background())
	p.base.Store(&ctx)
	p.outage.Store(&cancel)
}

// ServeHTTP passes a request on, unless the API server is away or the process
// ends with it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.away.Load() {
		panic(http.ErrAbortHandler)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(*p.base.Load(), cancel)()
	r = r.WithContext(ctx)
	effect := Effect(r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	if effect == "" || r.URL.Query().Has("dryRun") {
		p.forward.ServeHTTP(w, r)
		return
	}
	point := p.owner.Program() + ": " + effect
	switch p.book.Meet(point) {
	case killpoint.Before:
		p.owner.End()
		panic(http.ErrAbortHandler)
	case killpoint.After:
		if !p.obeyed(r) {
			p.book.Refused(point)
		}
		p.owner.End()
		panic(http.ErrAbortHandler)
	case killpoint.Late:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		p.owner.Stall()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	p.forward.ServeHTTP(w, r)
}

// obeyed makes a request whose answer nobody gets, and tells whether the server
// did what it was asked for. It does not end with the process that made it.
func (p *Proxy) obeyed(r *http.Request) (done bool) {
	answer := &unheard{header: http.Header{}, status: http.StatusOK}
	defer func() {
		if recover() != nil {
			done = false // the API server is away
		}
	}()
	p.forward.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	return answer.status < http.StatusMultipleChoices
}

// unheard is an answer that nobody gets.
type unheard struct {
	header http.Header
	status int
}

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u *unheard) WriteHeader(status int)      { u.status = status }

const applyContent = "application/apply-patch"

// Names hold versions, the beginning of a build's id, the number of a try, or
// the time of an Event.
var (
	version = regexp.MustCompile(`[0-9]+-[0-9]+-[0-9]+`)
	nonce   = regexp.MustCompile(`-[0-9a-f]{8}(-[0-9]+)?$`)
	serial  = regexp.MustCompile(`\.[0-9a-f]+$`)
)

// Effect names a request that writes: its verb, resource and object. It is
// empty for one that reads, and for the lease of a leader.
func Effect(method, path, content string) string {
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[method]
	_, inNamespace, found := strings.Cut(path, "/namespaces/")
	if verb == "" || !found {
		return ""
	}
	if verb == "patch" && strings.HasPrefix(content, applyContent) {
		verb = "apply"
	}
	// The namespace, resource, name and subresource.
	parts := strings.Split(inNamespace, "/")
	if len(parts) < 2 || parts[1] == "leases" {
		return ""
	}
	effect := verb + " " + parts[1]
	if len(parts) > 2 {
		object := serial.ReplaceAllString(nonce.ReplaceAllString(version.ReplaceAllString(parts[2], "…"), "-…"), ".…")
		effect += " " + object
	}
	if len(parts) > 3 {
		effect += "/" + parts[3]
	}
	return effect
}
