package screen

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// labels are what a stage is called while it waits or is done, and while it runs.
var labels = map[string][2]string{
	v1alpha1.ConditionDatabaseReady: {"database", "database"},
	v1alpha1.ConditionMigrated:      {"migrated", "migrating"},
	v1alpha1.ConditionReplayed:      {"replayed", "replaying"},
	v1alpha1.ConditionVerified:      {"verified", "verifying"},
	v1alpha1.ConditionCaughtUp:      {"caught up", "catching up"},
	v1alpha1.ConditionSwitched:      {"switched", "switching"},
	v1alpha1.ConditionFenced:        {"fenced", "fencing"},
}

var marks = map[State]string{Done: "✔", Running: "●", Failed: "✘", Waiting: "·"}

// Width of the narrowest screen that is drawn for.
const narrowest = 40

// leastFound is the room that a text must have to be broken into lines.
const leastFound = 30

// Tree draws a release with its versions and the stages of the wanted one, in
// lines of at most width characters.
func Tree(s Summary, now time.Time, width int) []string {
	d := drawing{width: max(width, narrowest), now: now}
	d.add("", heading(s))
	for i, v := range s.Versions {
		branch, trunk := "├─ ", "│  "
		if i == len(s.Versions)-1 {
			branch, trunk = "└─ ", "   "
		}
		d.add(branch, versionLine(s, v, now, d.width-utf8.RuneCountInString(branch)))
		if v.Version == s.Wanted && !settled(v) {
			d.stages(trunk, v)
		}
	}
	d.remarks(s)
	return d.lines
}

// Wrap breaks a text into lines of at most width characters.
func Wrap(text string, width int) []string {
	d := drawing{width: max(width, narrowest)}
	d.wrap("", text)
	return d.lines
}

// Fold breaks the lines that are wider than a screen. What follows stands below
// the beginning of their text, behind the number of a list.
func Fold(lines []string, width int) []string {
	var folded []string
	for _, line := range lines {
		if utf8.RuneCountInString(line) <= width {
			folded = append(folded, line)
			continue
		}
		first := leading.FindString(line)
		rest := strings.Repeat(" ", utf8.RuneCountInString(first))
		for i, part := range Wrap(line[len(first):], width-len(rest)) {
			if i == 0 {
				folded = append(folded, first+part)
				continue
			}
			folded = append(folded, rest+part)
		}
	}
	return folded
}

// leading is what a line begins with before its text.
var leading = regexp.MustCompile(`^\s*(\d+\. )?`)

type drawing struct {
	lines []string
	width int
	now   time.Time
}

// add draws one line, cut where the screen ends.
func (d *drawing) add(prefix, text string) { d.lines = append(d.lines, cut(prefix+text, d.width)) }

// wrap draws a text in as many lines as it takes.
func (d *drawing) wrap(prefix, text string) { d.hang(prefix, prefix, text) }

// hang draws a text in as many lines as it takes. The prefixes of the first line
// and of those below it are equally wide.
func (d *drawing) hang(prefix, below, text string) {
	room := d.width - utf8.RuneCountInString(prefix)
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			d.lines = append(d.lines, prefix+line)
			line, prefix = "", below
		}
		for utf8.RuneCountInString(word) > room {
			runes := []rune(word)
			d.lines = append(d.lines, prefix+string(runes[:room]))
			word, prefix = string(runes[room:]), below
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	if line != "" {
		d.lines = append(d.lines, prefix+line)
	}
}

func (d *drawing) stages(trunk string, v Version) {
	for i, stage := range v.Stages {
		branch, below := "├─ ", "│  "
		if i == len(v.Stages)-1 {
			branch, below = "└─ ", "   "
		}
		prefix := trunk + branch + marks[stage.State] + " "
		text := d.stageLine(stage, v, d.width-utf8.RuneCountInString(prefix))
		if found := detail(stage); found != "" {
			d.found(prefix+text+"  ", trunk+below, found)
			continue
		}
		d.add(prefix, strings.TrimRight(text, " "))
		if stage.State == Failed || stage.State == Running && v.Progress == nil {
			d.wrap(trunk+below+"    ", stage.Message)
		}
	}
}

// found draws what a stage found behind the stage, and below that what there is no
// room for; on a narrow screen it is cut.
func (d *drawing) found(stage, trunk, text string) {
	indent := utf8.RuneCountInString(stage)
	if d.width-indent < leastFound {
		d.add(stage, text)
		return
	}
	d.hang(stage, trunk+strings.Repeat(" ", indent-utf8.RuneCountInString(trunk)), text)
}

// remarks are what is wrong and belongs to no stage.
func (d *drawing) remarks(s Summary) {
	if !s.Seen {
		d.wrap("", "The operator has not seen this spec yet. If that lasts, see whether it runs: kubectl get pods -A -l app.kubernetes.io/part-of=nawhas-operator")
	}
	if s.Hold != "" {
		d.wrap("", "● annotation "+v1alpha1.AnnotationHold+" keeps version "+s.Hold+" live")
	}
	if s.Live != "" && !s.Available && s.Unavailable != "" {
		d.wrap("", "✘ "+s.Unavailable)
	}
	if s.Seen && !s.Ready && s.Message != "" && !told(s) {
		d.wrap("", "● "+s.Message)
	}
}

// told reports whether a stage says already why the release is not ready.
func told(s Summary) bool {
	for _, v := range s.Versions {
		for _, stage := range v.Stages {
			if v.Version == s.Wanted && (stage.Message == s.Message || stage.State == Running && v.Progress != nil) {
				return true
			}
		}
	}
	return false
}

func heading(s Summary) string {
	live, available := s.Live, "available"
	if live == "" {
		live = "nothing"
	}
	if !s.Available {
		available = "not available"
	}
	return fmt.Sprintf("%-27s  live %s   wanted %s   %s", s.Name, live, s.Wanted, available)
}

// versionLine is a version with as much as there is room for: what its role is
// about stays longest, then how far behind it is, then its pods.
func versionLine(s Summary, v Version, now time.Time, room int) string {
	name := strings.TrimRight(fmt.Sprintf("%-6s %-9s  %s", v.Version, strings.ToLower(v.Role), v.Database), " ")
	if v.Held != "" {
		return name + "   sent back"
	}
	var lag, pods string
	if v.Lag != nil {
		lag = "lag " + grouped(*v.Lag)
	}
	if v.Pods != nil && (v.Pods.Wanted > 0 || v.Pods.Ready > 0) {
		pods = fmt.Sprintf("%d/%d pods", v.Pods.Ready, v.Pods.Wanted)
	}
	role := roleOf(s, v, now)
	for _, parts := range [][]string{{name, lag, pods, role}, {name, lag, role}} {
		for _, gap := range []string{"   ", "  "} {
			if line := joined(parts, gap); utf8.RuneCountInString(line) <= room {
				return line
			}
		}
	}
	return joined([]string{name, role}, "  ")
}

// roleOf is what matters of a version in its role.
func roleOf(s Summary, v Version, now time.Time) string {
	switch {
	case v.Role == string(v1alpha1.RoleWarm):
		return wayBack(s, v, now)
	case v.Role != string(v1alpha1.RoleLive):
		return ""
	case v.ObservedUntil != nil && v.ObservedUntil.After(now):
		return "watched for " + span(v.ObservedUntil.Sub(now))
	case v.LiveSince != nil:
		return "since " + span(now.Sub(*v.LiveSince))
	}
	return ""
}

// wayBack says for how long a warm version can come back. The condition speaks
// of the one that was live last, which is the first of them.
func wayBack(s Summary, v Version, now time.Time) string {
	first := true
	for _, other := range s.Versions {
		if other.Role == v.Role && other.WarmUntil != nil && v.WarmUntil != nil && other.WarmUntil.After(*v.WarmUntil) {
			first = false
		}
	}
	switch {
	case first && !s.Return.Ready && s.Return.Reason != "":
		return "cannot go back at once: " + s.Return.Reason
	case v.WarmUntil == nil || !v.WarmUntil.After(now):
		return "no longer kept current"
	}
	return "can go back for " + span(v.WarmUntil.Sub(now))
}

func settled(v Version) bool {
	for _, stage := range v.Stages {
		if stage.State != Done {
			return false
		}
	}
	return true
}

func (d *drawing) stageLine(stage Stage, v Version, room int) string {
	name := labels[stage.Name][0]
	if stage.State == Running || stage.State == Failed {
		name = labels[stage.Name][1]
	}
	text := fmt.Sprintf("%-12s", name)
	switch {
	case stage.State == Done && stage.Seconds > 0:
		text += " " + fmt.Sprintf("%-9s", seconds(stage.Seconds))
	case stage.State == Running && stage.Name == v1alpha1.ConditionReplayed && v.Progress != nil:
		text += " " + progressLine(*v.Progress, room-len(text)-1)
	case stage.State == Failed || stage.State == Running:
		text += " " + stage.Reason
	}
	return text
}

// detail is what a passed stage found, where that is more than its being passed.
func detail(stage Stage) string {
	if stage.State != Done || stage.Seconds <= 0 {
		return ""
	}
	if stage.Name == v1alpha1.ConditionReplayed || stage.Name == v1alpha1.ConditionVerified {
		return stage.Message
	}
	return ""
}

// Lengths of a bar.
const (
	shortestBar = 8
	longestBar  = 24
)

// progressLine is a bar with as many figures as there is room for: the time left
// stays longest, then the rate, then the counts.
func progressLine(p Progress, room int) string {
	percent := fmt.Sprintf("%3d %%", p.Percent)
	figures := []string{percent, counts(p), rate(p), left(p)}
	for _, drop := range []int{-1, 1, 2, 3} {
		if drop >= 0 {
			figures[drop] = ""
		}
		text := joined(figures, "   ")
		if length := room - utf8.RuneCountInString(text) - 2; length >= shortestBar {
			return bar(p.Percent, min(length, longestBar)) + "  " + text
		}
	}
	return percent
}

func counts(p Progress) string { return short(p.Position) + " / " + short(p.Target) }

func rate(p Progress) string {
	if p.EventsPerSecond <= 0 || applied(p) {
		return ""
	}
	return grouped(p.EventsPerSecond) + " events/s"
}

// left is what is left to do: when all events are applied, a replay makes the
// indexes that readers need.
func left(p Progress) string {
	if applied(p) {
		return "building indexes"
	}
	if p.RemainingSeconds <= 0 {
		return ""
	}
	return seconds(p.RemainingSeconds) + " left"
}

func applied(p Progress) bool { return p.Target > 0 && p.Position >= p.Target }

func joined(parts []string, gap string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, gap)
}

func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}
