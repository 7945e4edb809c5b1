package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

func serve(t *testing.T) (*Feed, *httptest.Server) {
	t.Helper()
	f := NewFeed("a-cluster", "library", newClock().now)
	server := httptest.NewServer(Handler(f))
	t.Cleanup(server.Close)
	return f, server
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, method, address, host string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func TestThePageAndItsPartsAreServed(t *testing.T) {
	_, server := serve(t)
	for path, kind := range map[string]string{"/": "text/html", "/page.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"} {
		got := get(t, http.MethodGet, server.URL+path, "")
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || got.body == "" {
			t.Errorf("%s: %d, %s", path, got.status, got.header.Get("Content-Type"))
		}
	}
	if got := get(t, http.MethodGet, server.URL+"/absent", ""); got.status != http.StatusNotFound {
		t.Errorf("/absent: %d", got.status)
	}
}

func TestThePageIsForReadingOnly(t *testing.T) {
	_, server := serve(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		for _, path := range []string{"/", "/events"} {
			if got := get(t, method, server.URL+path, ""); got.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
	}
}

func TestOtherHostsAreRefused(t *testing.T) {
	_, server := serve(t)
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:1": 200, "127.0.0.2": 200, "[::1]:8080": 200, "[::1]": 200,
		"attacker.example": 403, "attacker.example:8080": 403, "127.0.0.1.attacker.example": 403, "localhost.attacker.example": 403,
		"192.168.1.2:8080": 403, "[::]:80": 403, "0.0.0.0": 403,
	} {
		for _, path := range []string{"/", "/page.js"} {
			got := get(t, http.MethodGet, server.URL+path, host)
			if got.status != status {
				t.Errorf("host %s, %s: %d", host, path, got.status)
			}
			if status == 403 && !strings.Contains(got.body, "localhost") {
				t.Errorf("host %s is refused with %q", host, got.body)
			}
		}
	}
	if got := get(t, http.MethodGet, server.URL+"/events", "attacker.example"); got.status != http.StatusForbidden {
		t.Errorf("the feed for a stranger: %d", got.status)
	}
}

func TestBrowsersAreToldToLoadNothingElse(t *testing.T) {
	_, server := serve(t)
	header := get(t, http.MethodGet, server.URL, "").header
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if policy := header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is %s", policy)
	}
}

// What is embedded names no other place, and has no style or script that the
// policy would refuse.
func TestTheAssetsStandAlone(t *testing.T) {
	elsewhere := regexp.MustCompile(`https?://[^\s"')]+|@import|<style|\sstyle=|\son[a-z]+=`)
	err := fs.WalkDir(assets, "assets", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := assets.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range elsewhere.FindAllString(string(content), -1) {
			if found != "http://www.w3.org/2000/svg" {
				t.Errorf("%s has %q", path, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnOpenPageIsToldOfChanges(t *testing.T) {
	f, server := serve(t)
	f.Show([]screen.Summary{release(5)}, false)
	next := follow(t, server.URL)

	if first := next(); !first.All || first.Cluster != "a-cluster" || first.Namespace != "library" || *first.Releases[0].Versions[0].Lag != 5 {
		t.Errorf("at first %+v", first)
	}
	f.Show([]screen.Summary{release(0)}, true)
	if second := next(); second.All || !second.PodsHidden || len(second.Lags) != 1 || *second.Releases[0].Versions[0].Lag != 0 {
		t.Errorf("then %+v", second)
	}
	f.Interrupt(Problem{What: "gone", Advice: "wait"})
	if third := next(); third.Problem == nil || third.Problem.Advice != "wait" {
		t.Errorf("at last %+v", third)
	}
}

// follow opens the feed, and returns what reads its next message.
func follow(t *testing.T, address string) func() message {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("the feed is %s", kind)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() message {
		t.Helper()
		for lines.Scan() {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				var got message
				if err := json.Unmarshal([]byte(data), &got); err != nil {
					t.Fatal(err)
				}
				return got
			}
		}
		t.Fatalf("the feed ended: %v", lines.Err())
		return message{}
	}
}

func TestAClosedPageIsForgotten(t *testing.T) {
	f, server := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	server.Close() // It waits until the handler has ended.
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) != 0 {
		t.Errorf("%d listeners are left", len(f.listeners))
	}
}

func TestOnlyThisMachineIsListenedOn(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:8080", "example.com:0"} {
		if listener, err := Listen(t.Context(), address); !errors.Is(err, ErrNotLocal) {
			t.Errorf("%s: %v, %v", address, listener, err)
		}
	}
	if _, err := Listen(t.Context(), "8080"); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("8080: %v", err)
	}
	listener, err := Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if address := listener.Addr().(*net.TCPAddr); !address.IP.IsLoopback() || address.Port == 0 {
		t.Errorf("it listens on %s", address)
	}
}

func TestTheServerEndsWithItsContextThoughPagesAreOpen(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := NewFeed("", "library", newClock().now)
	ended := make(chan error)
	go func() { ended <- Serve(ctx, listener, Handler(f)) }()
	next := follow(t, "http://"+listener.Addr().String())
	next()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
