package screen

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// History lists the versions that have a database: what they are for, how long
// each took to build, and until when it can come back.
func History(s Summary, now time.Time) []string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "VERSION\tROLE\tDATABASE\tBUILT IN\tLIVE FOR\tWARM FOR\tIMAGE")
	for _, v := range s.Versions {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Version, v.Role, or(v.Database, "-"), builtIn(v), liveFor(v, now), warmFor(v, now), or(v.Image, "-"))
	}
	_ = table.Flush()
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

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
