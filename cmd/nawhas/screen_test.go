package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

func TestWithoutATerminalProgressIsLines(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, "replay")
	for _, r := range []projection.Report{
		{Position: 0, Target: 6_100_000, Stage: "replaying"},
		{Position: 3_050_000, Target: 6_100_000, Stage: "replaying", EventsPerSecond: 61_000}, // too soon after the first
		{Position: 6_100_000, Target: 6_100_000, Stage: "indexing", EventsPerSecond: 61_000},
		{Position: 6_100_000, Target: 6_100_000, Stage: "complete"},
	} {
		if err := s.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	s.finish()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || lines[1] != "replay: indexing 100 %  6,100,000 / 6,100,000" {
		t.Errorf("printed %q", lines)
	}
}

func TestFigures(t *testing.T) {
	for want, r := range map[string]projection.Report{
		"3,050,000 / 6,100,000   61,000 events/s   50s left": {Position: 3_050_000, Target: 6_100_000, Stage: "replaying", EventsPerSecond: 61_000},
		"0 / 5   0 events/s":     {Target: 5, Stage: "replaying"},
		"at 1,000, lag 0":        {Position: 1000, Head: 1000, Stage: "complete"},
		"at 1,000, lag 23":       {Position: 1000, Head: 1023, Stage: "complete"},
		"at 1,000, lag 0 ":       {Position: 1000, Head: 900, Stage: "complete"}, // the head is older than the position
		"6,100,000 / 6,100,000 ": {Position: 6_100_000, Target: 6_100_000, Stage: "indexing", EventsPerSecond: 3},
	} {
		if got := figures(r); got != strings.TrimSpace(want) {
			t.Errorf("figures %q, want %q", got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
