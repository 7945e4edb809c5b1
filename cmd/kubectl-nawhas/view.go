package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

// view shows summaries that follow each other.
type view interface {
	show(s screen.Summary) error
	// interrupted tells why there is nothing new for now.
	interrupted(why error) error
	// last says in a line what was shown last.
	last() string
}

func viewOf(out io.Writer, format string, now func() time.Time) view {
	if _, seen := terminal(out); seen && format == "" {
		return &liveView{out: out, now: now}
	}
	return &lineView{out: out, json: format == "json"}
}

// liveView draws over what it has drawn before.
type liveView struct {
	out   io.Writer
	now   func() time.Time
	drawn int
	seen  *screen.Summary
}

func (v *liveView) show(s screen.Summary) error {
	v.seen = &s
	return v.draw(screen.Tree(s, v.now(), widthOf(v.out)-1))
}

func (v *liveView) interrupted(why error) error {
	lines := []string{}
	if v.seen != nil {
		lines = screen.Tree(*v.seen, v.now(), widthOf(v.out)-1)
	}
	return v.draw(append(lines, screen.Wrap("✘ "+why.Error(), widthOf(v.out)-1)...))
}

// draw goes up over the old lines, and clears the rest of each line and of the
// screen as it goes.
func (v *liveView) draw(lines []string) error {
	const clearLine, clearBelow = "\x1b[K", "\x1b[J"
	var text strings.Builder
	if v.drawn > 0 {
		_, _ = fmt.Fprintf(&text, "\x1b[%dA\r", v.drawn)
	}
	if height := heightOf(v.out); len(lines) >= height {
		// What has scrolled away could not be drawn over.
		lines = lines[:height-1]
	}
	v.drawn = len(lines)
	if colored(v.out) {
		lines = screen.Paint(lines)
	}
	for _, line := range lines {
		text.WriteString(line + clearLine + "\n")
	}
	text.WriteString(clearBelow)
	_, err := io.WriteString(v.out, text.String())
	return err
}

func (v *liveView) last() string { return lastOf(v.seen) }

// lineView prints a line whenever something worth telling changes.
type lineView struct {
	out     io.Writer
	json    bool
	printed string
	seen    *screen.Summary
}

func (v *lineView) show(s screen.Summary) error {
	v.seen = &s
	line := screen.Line(s)
	if v.json {
		encoded, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode the status: %w", err)
		}
		line = string(encoded)
	}
	return v.print(line)
}

func (v *lineView) interrupted(why error) error {
	if v.json {
		return nil
	}
	return v.print(strings.Join(strings.Fields(why.Error()), " "))
}

func (v *lineView) print(line string) error {
	if line == v.printed {
		return nil
	}
	v.printed = line
	_, err := fmt.Fprintln(v.out, line)
	return err
}

func (v *lineView) last() string { return lastOf(v.seen) }

func lastOf(seen *screen.Summary) string {
	if seen == nil {
		return "the cluster has not answered"
	}
	return screen.Line(*seen)
}
