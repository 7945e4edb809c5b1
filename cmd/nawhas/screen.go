package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// lineEvery is how often progress is a line where there is no terminal.
const lineEvery = 3 * time.Second

// screen shows progress to people: a bar on a terminal, lines elsewhere. What
// is written to it appears above the bar.
type screen struct {
	out  io.Writer
	name string

	progress *mpb.Progress
	// latest is read by the bar's own goroutine.
	latest atomic.Pointer[projection.Report]

	mu     sync.Mutex
	bar    *mpb.Bar
	saidAt time.Time
	said   projection.Report
}

func newScreen(out io.Writer, name string) *screen {
	s := &screen{out: out, name: name}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.progress = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return s
}

// Write implements io.Writer for a logger.
func (s *screen) Write(text []byte) (int, error) {
	if s.progress != nil {
		return s.progress.Write(text)
	}
	return s.out.Write(text)
}

// Report implements projection.Reporter.
func (s *screen) Report(_ context.Context, r projection.Report) error {
	s.latest.Store(&r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil && r.Target > 0 {
		s.draw(r)
		return nil
	}
	changed := r.Position != s.said.Position || r.Stage != s.said.Stage
	if !changed || (r.Stage == s.said.Stage && time.Since(s.saidAt) < lineEvery) {
		return nil
	}
	s.said, s.saidAt = r, time.Now()
	_, err := fmt.Fprintln(s, s.name+": "+line(r))
	return err
}

func (s *screen) draw(r projection.Report) {
	if s.bar == nil {
		style := mpb.BarStyle().Lbound(" ").Filler("█").Tip("█").Padding("░").Rbound(" ")
		s.bar = s.progress.New(r.Target, style,
			mpb.PrependDecorators(decor.Name(s.name+" "), decor.Any(func(decor.Statistics) string { return stageOf(*s.latest.Load()) })),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Any(func(decor.Statistics) string { return "  " + figures(*s.latest.Load()) })))
	}
	s.bar.SetTotal(r.Target, false)
	s.bar.SetCurrent(r.Position)
}

// finish leaves the last state of the bar on the screen.
func (s *screen) finish() {
	if s.progress == nil {
		return
	}
	if s.bar != nil {
		s.bar.SetTotal(-1, true)
	}
	s.progress.Wait()
}

func line(r projection.Report) string {
	text := stageOf(r)
	if r.Target > 0 {
		text += fmt.Sprintf(" %3.0f %%", 100*float64(r.Position)/float64(r.Target))
	}
	return text + "  " + figures(r)
}

func stageOf(r projection.Report) string {
	if r.Target == 0 {
		return "following"
	}
	return r.Stage
}

func figures(r projection.Report) string {
	if r.Target == 0 {
		return fmt.Sprintf("at %s, lag %s", grouped(r.Position), grouped(max(r.Head-r.Position, 0)))
	}
	text := fmt.Sprintf("%s / %s", grouped(r.Position), grouped(r.Target))
	if r.Stage != string(projection.StageReplaying) {
		return text // no events are applied any more
	}
	text += fmt.Sprintf("   %s events/s", grouped(int64(r.EventsPerSecond)))
	if left := r.Target - r.Position; left > 0 && r.EventsPerSecond >= 1 {
		seconds := time.Duration(float64(left) / r.EventsPerSecond * float64(time.Second))
		text += fmt.Sprintf("   %s left", seconds.Round(time.Second))
	}
	return text
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(digits) - 3; i > start; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func keys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }
