//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/nawhas/nawhas-operator/internal/dashboard"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// patience is how long the page may take for anything.
const patience = 20 * time.Second

var browser context.Context

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	program := ""
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "google-chrome", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		fmt.Fprintln(os.Stderr, "there is no Chromium in PATH; set CHROMIUM to one, or install it: apt-get install chromium")
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	var end context.CancelFunc
	browser, end = chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintln(os.Stderr, "start", program+":", err)
		return 1
	}
	return m.Run()
}

// page is the dashboard in a tab of its own, served with a feed that the test tells.
type page struct {
	t      *testing.T
	tab    context.Context
	feed   *dashboard.Feed
	clock  *clock
	server *httptest.Server

	mu       sync.Mutex
	problems []string
}

// clock is the time of the feed. The page has the machine's.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// look is how the page is looked at.
type look struct {
	width, height int64
	dark          bool
}

var (
	desk  = look{width: 1280, height: 900}
	phone = look{width: 360, height: 740}
)

func open(t *testing.T, l look) *page {
	t.Helper()
	p := &page{t: t, clock: &clock{at: time.Now()}}
	p.feed = dashboard.NewFeed("production", "library", p.clock.now)
	p.server = httptest.NewServer(dashboard.Handler(p.feed))
	t.Cleanup(p.server.Close)
	tab, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	p.tab = tab
	if err := chromedp.Listen(tab, p.listen); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	p.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 600}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
	return p
}

// listen notes whatever a sound page does not do.
func (p *page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.problems = append(p.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		p.problems = append(p.problems, "it wrote to the console")
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.server.URL+"/") {
			p.problems = append(p.problems, "it asked for "+e.Request.URL)
		}
	}
}

// sound fails the test if the page did what it must not.
func (p *page) sound() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		p.t.Error(problem)
	}
}

// call is a command of the browser's protocol, of which only the success counts.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	run(p, chromedp.Steps(actions...))
}

func run[T any](p *page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func (p *page) load() {
	p.t.Helper()
	p.do(chromedp.Navigate(p.server.URL + "/"))
}

// ask evaluates an expression in the page.
func ask[T any](p *page, expression string) T {
	p.t.Helper()
	return run(p, chromedp.Evaluate[T](expression))
}

// until waits for an expression to be true.
func (p *page) until(expression string) {
	p.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if ask[bool](p, expression) {
			return
		}
		if time.Since(began) > patience {
			p.t.Fatalf("it never was true that %s; the page says\n%s", expression, ask[string](p, "document.body.innerText"))
		}
	}
}

// shows waits until the page's text has all of these.
func (p *page) shows(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			p.t.Fatal(err)
		}
		p.until(fmt.Sprintf("document.body.innerText.includes(%s)", quoted))
	}
}

// photograph keeps what the whole page looks like, to be looked at by people.
func (p *page) photograph(name string) {
	p.t.Helper()
	picture := run(p, chromedp.FullScreenshot(100))
	folder := filepath.Join("..", "..", "bin", "dashboard")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// show lets the feed tell of releases.
func (p *page) show(releases ...screen.Summary) { p.feed.Show(releases, false) }
