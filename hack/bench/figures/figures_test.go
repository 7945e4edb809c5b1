package figures_test

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
)

func TestFiguresAreJudgedInTheirDirection(t *testing.T) {
	for name, c := range map[string]struct {
		figure figures.Figure
		pass   bool
	}{
		"below a most":      {figures.AtMost("x", 1.4, "×", 1.5), true},
		"at a most":         {figures.AtMost("x", 1.5, "×", 1.5), true},
		"above a most":      {figures.AtMost("x", 1.6, "×", 1.5), false},
		"above a least":     {figures.AtLeast("x", 21, "×", 20), true},
		"at a least":        {figures.AtLeast("x", 20, "×", 20), true},
		"below a least":     {figures.AtLeast("x", 19, "×", 20), false},
		"aim missed":        {figures.AtMost("x", 1.4, "×", 1.5).Aiming(1), true},
		"told":              {figures.Told("x", 7, "s"), true},
		"no number":         {figures.AtMost("x", math.NaN(), "×", 1.5), false},
		"no number, higher": {figures.AtLeast("x", math.NaN(), "×", 1.5), false},
	} {
		t.Run(name, func(t *testing.T) {
			list := figures.List{Out: io.Discard}
			list.Add(c.figure)
			if passed := len(list.Missed()) == 0; passed != c.pass {
				t.Errorf("passed %t, want %t", passed, c.pass)
			}
		})
	}
}

func TestAnUnjudgedRunMissesNothing(t *testing.T) {
	list := figures.List{Out: io.Discard, Unjudged: true}
	list.Add(figures.AtMost("x", 9, "×", 1.5).Aiming(1))
	if missed := list.Missed(); len(missed) > 0 {
		t.Errorf("missed %v", missed)
	}
}

func TestTheJSONHasEachFigure(t *testing.T) {
	list := figures.List{Out: io.Discard}
	list.Add(figures.AtMost("replay / pg_restore -j2", 1.25, "×", 1.5).Aiming(1))
	list.Add(figures.Told("replay", 12, "s"))
	path := filepath.Join(t.TempDir(), "results.json")
	if err := list.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("%d figures in %s", len(got), content)
	}
	for key, want := range map[string]any{"name": "replay / pg_restore -j2", "value": 1.25, "unit": "×", "better": "lower", "must": 1.5, "aim": 1.0, "pass": true} {
		if got[0][key] != want {
			t.Errorf("%s is %v, want %v", key, got[0][key], want)
		}
	}
	for _, key := range []string{"must", "aim"} {
		if value, there := got[1][key]; !there || value != nil {
			t.Errorf("%s of a figure that is only told is %v, want null", key, value)
		}
	}
}

func TestNoFiguresAreAnEmptyList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if err := (&figures.List{}).WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); strings.TrimSpace(string(content)) != "[]" {
		t.Errorf("wrote %s", content)
	}
}

func TestAFigureThatIsNoNumberIsNotWritten(t *testing.T) {
	list := figures.List{Out: io.Discard}
	list.Add(figures.Told("x", math.NaN(), "s"))
	if err := list.WriteJSON(filepath.Join(t.TempDir(), "results.json")); err == nil {
		t.Error("JSON has no such number")
	}
}

func TestTheTableHasARowForEachFigure(t *testing.T) {
	var screen strings.Builder
	list := figures.List{Out: &screen}
	list.Add(figures.AtLeast("replay / Emmett", 31.234, "×", 20).Aiming(40))
	list.Add(figures.AtMost("latency, p99", 1234.5, "ms", 50).Noting("1,000 events/s"))
	path := filepath.Join(t.TempDir(), "results.md")
	if err := list.WriteMarkdown(path, []string{"date: today"}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	for _, want := range []string{
		"- date: today",
		"| replay / Emmett | 31.2 × | ≥ 20 | ≥ 40 | ok |",
		"| latency, p99 (1,000 events/s) | 1,235 ms | ≤ 50 |  | MISSED |",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, content)
		}
	}
	if !strings.Contains(screen.String(), "MISSED") {
		t.Errorf("the screen says %q", screen.String())
	}
}
