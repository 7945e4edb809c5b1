//go:build browser

package browser

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nawhas/nawhas-operator/internal/dashboard"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

func TestTheReleaseGoesLiveBeforeTheReadersEyes(t *testing.T) {
	p := open(t, desk)
	p.show(recorded(t, "replaying"))
	p.load()
	p.shows("Version 3.1.2 is live; replaying 3.2.0", "61 %", "6.1M of 10.0M events", "58,200 events/s", "1 min 07 s left", "nawhas_v3_2_0", "2 of 2 ready")
	if title := ask[string](p, "document.title"); title != "61 % nawhas: Version 3.1.2 is live; replaying 3.2.0" {
		t.Errorf("the tab is called %q", title)
	}
	ask[bool](p, "document.querySelector('h2').marked = true")

	later := recorded(t, "replaying")
	later.Versions[0].Progress.Percent, later.Versions[0].Progress.Position = 75, 7_500_000
	p.show(later)
	p.shows("75 %", "7.5M of 10.0M events")
	later = recorded(t, "replaying")
	later.Versions[0].Progress.Percent, later.Versions[0].Progress.Position = 100, 10_000_000
	p.show(later)
	p.shows("100 %", "10.0M of 10.0M events", "building indexes")
	p.show(recorded(t, "waiting"))
	p.shows("3.2.0 waits for your approval")
	p.show(recorded(t, "switched"))
	p.shows("Version 3.2.0 is live", "You can go back: version 3.1.2 can come back without losing anything", "can come back for")

	if !ask[bool](p, "document.querySelector('h2').marked === true") {
		t.Error("what did not change was drawn anew")
	}
	p.sound()
}

func TestEveryRecordingIsDrawn(t *testing.T) {
	for _, l := range []struct {
		name string
		look look
	}{{"desk-light", desk}, {"desk-dark", look{width: 1280, height: 900, dark: true}}, {"phone-light", phone}, {"phone-dark", look{width: 360, height: 740, dark: true}}} {
		for _, name := range names(t) {
			t.Run(name+" "+l.name, func(t *testing.T) {
				p := open(t, l.look)
				release := recorded(t, name)
				p.tellHistory(release)
				p.load()
				p.shows("Stages of " + release.Wanted)
				if beyond := ask[[]string](p, overflowing); len(beyond) > 0 {
					t.Errorf("it is wider than the screen: %v", beyond)
				}
				p.photograph(name + "-" + l.name)
				p.sound()
			})
		}
	}
}

// overflowing are the elements that reach out of the screen.
const overflowing = `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
	.map((e) => e.tagName + "." + e.getAttribute("class"))`

// tellHistory lets the feed have heard of the release for some minutes.
func (p *page) tellHistory(release screen.Summary) {
	now := time.Now()
	for i, lag := range []int64{0, 3, 1, 0, 12, 240, 31, 2, 0, 4, 0} {
		p.clock.set(now.Add(time.Duration(i-12) * 30 * time.Second))
		before := release
		before.Versions = append([]screen.Version{}, release.Versions...)
		for j := range before.Versions {
			v := &before.Versions[j]
			switch {
			case v.Progress != nil:
				progress := *v.Progress
				progress.Position = progress.Position * int64(i) / 11
				v.Progress = &progress
			case v.Lag != nil:
				held := lag * int64(j+1)
				v.Lag = &held
			}
		}
		p.show(before)
	}
	p.clock.set(now)
	p.show(release)
}

func TestSeveralReleasesAndNone(t *testing.T) {
	p := open(t, desk)
	p.load()
	p.shows("There is no release in namespace library", "It appears here as soon as one is applied")
	p.photograph("none")
	first, second := recorded(t, "settled"), recorded(t, "failed")
	second.Name = "second"
	p.show(first, second)
	p.shows("second", "needs you")
	if n := ask[int](p, "document.querySelectorAll('section').length"); n != 2 {
		t.Errorf("%d releases are drawn", n)
	}
	p.photograph("several")
	p.show(first)
	p.until("document.querySelectorAll('section').length === 1")
	p.sound()
}

func TestAVersionThatDoesNotGoOnIsCalledWhatItIs(t *testing.T) {
	p := open(t, desk)
	p.load()
	for stage, says := range map[string]string{"RolledBack": "3.2.0 was sent back", "Aborted": "3.2.0 was given up", "Suspended": "3.2.0 is suspended"} {
		release := recorded(t, "failed")
		release.Stage, release.Message = stage, "as somebody wanted"
		if stage != "Suspended" {
			release.Versions[0].Held = "its pods were not ready"
		}
		p.show(release)
		p.shows("Version 3.1.2 is live; "+says, "as somebody wanted")
	}
	p.sound()
}

func TestTroubleIsToldAndOver(t *testing.T) {
	p := open(t, desk)
	p.show(recorded(t, "settled"))
	p.load()
	p.shows("Version 3.1.2 is live")
	p.feed.Interrupt(dashboard.Problem{What: "the API server at 127.0.0.1:6443 does not answer: connection refused", Advice: "See whether the cluster is there."})
	p.shows("does not answer", "See whether the cluster is there.", "waiting for the cluster", "Version 3.1.2 is live")
	p.photograph("interrupted")
	p.show(recorded(t, "settled"))
	p.until("!document.body.innerText.includes('does not answer')")
	p.sound()

	p.server.CloseClientConnections()
	p.shows("live") // It comes back by itself.
	p.server.Close()
	p.shows("connection lost", "Version 3.1.2 is live")
}

// Texts in the cluster are shown as they are, whatever they look like.
func TestMarkupInAMessageIsOnlyText(t *testing.T) {
	p := open(t, desk)
	release := recorded(t, "failed")
	for i := range release.Versions[0].Stages {
		release.Versions[0].Stages[i].Message = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>`
	}
	release.Message = release.Versions[0].Stages[0].Message
	p.show(release)
	p.load()
	p.shows("<script>alert(1)</script>")
	if n := ask[int](p, "document.querySelectorAll('main img, main script').length"); n != 0 {
		t.Errorf("%d elements were made of a text", n)
	}
	p.sound()
}

func TestThePageWithoutAMouse(t *testing.T) {
	p := open(t, desk)
	p.show(recorded(t, "replaying"))
	p.load()
	p.shows("61 %")
	p.do(chromedp.KeyEvent(kb.Tab))
	if where := ask[string](p, "document.activeElement.className"); where != "skip" {
		t.Errorf("the first stop is %q", where)
	}
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until("document.activeElement.id === 'releases'")
}

// What a screen reader is told.
func TestThePageWithoutEyes(t *testing.T) {
	p := open(t, desk)
	p.tellHistory(recorded(t, "replaying"))
	p.load()
	p.shows("61 %")
	told := map[string][]string{}
	tree := run(p, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	for _, node := range tree.Nodes {
		if !node.Ignored && node.Role != nil && node.Name != nil {
			told[string(node.Role.Value)] = append(told[string(node.Role.Value)], string(node.Name.Value))
		}
	}
	for role, wanted := range map[string]string{
		`"progressbar"`: `"Replay of version 3.2.0"`, `"region"`: `"nawhas"`, `"status"`: `""`, `"main"`: `""`,
	} {
		if !slices.Contains(told[role], wanted) {
			t.Errorf("%s are called %v", role, told[role])
		}
	}
	for _, role := range []string{`"image"`, `"progressbar"`, `"heading"`} {
		for _, name := range told[role] {
			if name == `""` {
				t.Errorf("a %s has no name", role)
			}
		}
	}
	if spoken := ask[string](p, "document.getElementById('spoken').textContent"); spoken != "nawhas: Version 3.1.2 is live; replaying 3.2.0." {
		t.Errorf("it says %q", spoken)
	}
	levels := ask[[]int](p, "[...document.querySelectorAll('h1, h2, h3')].map((h) => +h.localName[1])")
	for i, level := range levels {
		if i > 0 && level > levels[i-1]+1 {
			t.Errorf("the headings leave a level out: %v", levels)
		}
	}
}

// Every text has the contrast that people with weak eyes need (WCAG AA, 4.5 to 1).
func TestTextsAreReadable(t *testing.T) {
	for _, dark := range []bool{false, true} {
		for _, name := range []string{"replaying", "failed", "switched"} {
			t.Run(fmt.Sprintf("%s, dark %v", name, dark), func(t *testing.T) {
				p := open(t, look{width: 1280, height: 900, dark: dark})
				p.tellHistory(recorded(t, name))
				p.load()
				p.shows("Stages of 3.2.0")
				if faint := ask[[]string](p, faintTexts); len(faint) > 0 {
					t.Errorf("%v", faint)
				}
			})
		}
	}
}

// faintTexts are texts with too little contrast. Marks say nothing that is not
// said in words as well.
const faintTexts = `(() => {
	const parse = (color) => color.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	const faint = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
		if (!own || e.closest(".unseen, .skip, .mark, progress, noscript, script, title")) continue;
		const style = getComputedStyle(e);
		const front = light(parse(e instanceof SVGElement ? style.fill : style.color)), back = light(behind(e));
		const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
		if (contrast < 4.5) faint.push(e.textContent.slice(0, 40) + " has " + contrast.toFixed(2));
	}
	return faint;
})()`

// A tab that nobody looks at holds no connection: browsers allow few to a server.
func TestAHiddenPageClosesItsFeed(t *testing.T) {
	p := open(t, desk)
	p.show(recorded(t, "settled"))
	p.load()
	p.shows("Version 3.1.2 is live")
	ask[bool](p, `Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }) && document.dispatchEvent(new Event("visibilitychange"))`)
	p.shows("paused")
	p.show(recorded(t, "switched"))
	ask[bool](p, `Object.defineProperty(document, "visibilityState", { value: "visible", configurable: true }) && document.dispatchEvent(new Event("visibilitychange"))`)
	p.shows("Version 3.2.0 is live")
	p.sound()
}
