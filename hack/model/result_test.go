package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	held = `Full statespace search for:
State-vector 68 byte, depth reached 94, errors: 0
  3906969 states, stored
`
	broken = `pan:1: assertion violated (p>checkpoint) (at depth 59)
pan: wrote frontier.pml.trail

Warning: Search not completed
State-vector 68 byte, depth reached 94, errors: 1
 1.1e+06 states, stored
`
)

func TestASearchIsBelievedWhenItIsComplete(t *testing.T) {
	found, err := read(held)
	if err != nil || found.States != 3906969 || found.Violation != "" {
		t.Errorf("a model that holds is %+v, %v", found, err)
	}
	found, err = read(broken)
	if err != nil || found.Violation != "assertion violated (p>checkpoint)" || found.States != 1100000 {
		t.Errorf("one that does not is %+v, %v", found, err)
	}
	for _, cut := range []string{"error: max search depth too small\n" + held, "pan: reached -DMEMLIM bound\n" + held, "Warning: Search not completed\n" + held} {
		if _, err := read(cut); !errors.Is(err, errCutShort) {
			t.Errorf("a search that was cut short gives %v", err)
		}
	}
	if _, err := read("pan: out of memory\n"); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("a search that died gives %v", err)
	}
}

func TestASurvivingMutantAndAFailingModelAreFailures(t *testing.T) {
	model, mutant := check{name: "plain"}, check{name: "NO_LOCK", mistake: "the lock is not taken"}
	cases := map[string]struct {
		results []result
		proven  bool
	}{
		"all well":          {[]result{{check: model}, {check: mutant, Violation: "v"}}, true},
		"a model fails":     {[]result{{check: model, Violation: "v"}, {check: mutant, Violation: "v"}}, false},
		"a mutant survives": {[]result{{check: model}, {check: mutant}}, false},
		"nothing was run":   {nil, false},
	}
	for name, c := range cases {
		if got := summarize(c.results).proven(); got != c.proven {
			t.Errorf("%s: proven is %v", name, got)
		}
	}
}

func TestATrailEndsWithTheClaimThatBreaks(t *testing.T) {
	model := filepath.Join(t.TempDir(), "x.pml")
	if err := os.WriteFile(model, []byte("x++;\n\tassert(x == 1); /* once */\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	told, at := retell("      a draws 1\n\n      b draws 2\nspin: " + model + ":2, Error: assertion violated\nspin: trail ends after 3 steps\n")
	if strings.Join(told.steps, ", ") != "a draws 1, b draws 2" {
		t.Errorf("it says %q", told.steps)
	}
	if claim, err := claimAt(at); err != nil || claim != "once" {
		t.Errorf("at %+v it claims %q, %v", at, claim, err)
	}
}
