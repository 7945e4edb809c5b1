package verify

import (
	"fmt"
	"strconv"
)

// Difference is something that two reports do not agree on.
type Difference struct {
	What   string `json:"what"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Differences compares two reports: what was verified, and the result of each
// check. Times and who made a report make no difference.
func Differences(before, after Evidence) []Difference {
	var found []Difference
	note := func(what, a, b string) {
		if a != b {
			found = append(found, Difference{what, a, b})
		}
	}
	note("version", before.Version, after.Version)
	note("database", before.Database, after.Database)
	note("build", before.Build, after.Build)
	note("position", strconv.FormatInt(before.Position, 10), strconv.FormatInt(after.Position, 10))
	note("events", strconv.FormatInt(before.Events, 10), strconv.FormatInt(after.Events, 10))
	note("events' hash", before.EventsHash, after.EventsHash)
	note("compared with", before.comparedWith(), after.comparedWith())
	later := map[string]Check{}
	for _, check := range after.Checks {
		later[check.Name] = check
	}
	for _, check := range before.Checks {
		now, made := later[check.Name]
		delete(later, check.Name)
		note(check.Name, check.result(), map[bool]string{true: now.result(), false: "not made"}[made])
	}
	for _, check := range after.Checks {
		if _, added := later[check.Name]; added {
			note(check.Name, "not made", check.result())
		}
	}
	return found
}

func (e Evidence) comparedWith() string {
	if e.Comparison == nil {
		return "nothing"
	}
	return e.Comparison.Version
}

func (c Check) result() string {
	if c.Passed {
		return fmt.Sprintf("passed on %d %s", c.Figure, c.Unit)
	}
	return fmt.Sprintf("%d faults in %d %s", c.Faults, c.Figure, c.Unit)
}
