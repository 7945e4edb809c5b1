package screen

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// History lists the versions that have a database: what they are for, how long
// each took to build, and until when it can come back. Where lines are wider than
// a screen, the beginning of the image is left out; a width of 0 is any width.
func History(s Summary, now time.Time, width int) []string {
	if width <= 0 {
		width = math.MaxInt
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "VERSION\tROLE\tDATABASE\tBUILT IN\tLIVE FOR\tWARM FOR\t")
	for _, v := range s.Versions {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", v.Version, v.Role, or(v.Database, "-"), builtIn(v), liveFor(v, now), warmFor(v, now))
	}
	_ = table.Flush()
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	for i := range lines {
		image := "IMAGE"
		if i > 0 {
			image = or(s.Versions[i-1].Image, "-")
		}
		lines[i] += endOf(image, width-utf8.RuneCountInString(lines[i]))
	}
	return lines
}

// endOf is as much of a text's end as there is room for: of an image, what tells
// it from others.
func endOf(text string, room int) string {
	runes := []rune(text)
	if excess := len(runes) - max(room, shortestImage); excess > 0 {
		return "…" + string(runes[excess+1:])
	}
	return text
}

// shortestImage is what is left of an image's name at least.
const shortestImage = 8

// builtIn is the time of the stages up to the verification: what comes later
// waits for people and traffic.
func builtIn(v Version) string {
	total := 0.0
	for _, stage := range v.Stages[:min(len(v.Stages), building)] {
		total += stage.Seconds
	}
	if total <= 0 {
		return "-"
	}
	return seconds(total)
}

// building is the number of stages that build a database.
const building = 4

func liveFor(v Version, now time.Time) string {
	if v.Role != "Live" || v.LiveSince == nil {
		return "-"
	}
	return span(now.Sub(*v.LiveSince))
}

func warmFor(v Version, now time.Time) string {
	if v.WarmUntil == nil || !v.WarmUntil.After(now) {
		return "-"
	}
	return span(v.WarmUntil.Sub(now))
}
