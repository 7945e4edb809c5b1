package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSamples is how many keys a failed check names.
const maxSamples = 10

// samplesToTell is how many of them a message names.
const samplesToTell = 3

// Evidence is what a verification found, in the form that is kept.
type Evidence struct {
	// Version and Edition say which code verified.
	Version string `json:"version"`
	Edition string `json:"edition"`
	// Database is the name of the verified database.
	Database string `json:"database"`
	// Position is where the checks were made: everything up to it, nothing above.
	Position int64 `json:"position"`
	// After is the position after which an audit began; everything up to it was
	// proven before. It is 0 when everything was verified.
	After int64 `json:"after,omitempty"`
	// Audited says that the version's follower audits what it applies later on.
	Audited bool `json:"audited,omitempty"`
	// Events is the number of events up to the position, and after After,
	// EventsHash the sum of the digests of their ids.
	Events     int64  `json:"events"`
	EventsHash string `json:"eventsHash"`
	// Job and Build tie the evidence to the run that made it.
	Job       string    `json:"job,omitempty"`
	Build     string    `json:"build,omitempty"`
	StartedAt time.Time `json:"startedAt"`
	Seconds   float64   `json:"seconds"`
	Passed    bool      `json:"passed"`
	Checks    []Check   `json:"checks"`
	// Comparison is how the database differs from the live version's, nil if
	// they were not compared.
	Comparison *Comparison `json:"comparison,omitempty"`
}

// sound tells whether nothing was found wrong that has to be right.
func (e *Evidence) sound() bool {
	return !slices.ContainsFunc(e.Checks, func(c Check) bool { return !c.Passed && !c.Advisory })
}

// Check is the result of one proof.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Advisory says that a fault is told and fails nothing.
	Advisory bool `json:"advisory,omitempty"`
	// Figure is how much was compared, Faults how much of it was wrong.
	Figure int64  `json:"figure"`
	Unit   string `json:"unit"`
	Faults int64  `json:"faults"`
	// Detail says what is wrong.
	Detail  string   `json:"detail,omitempty"`
	Samples []string `json:"samples,omitempty"`
	Seconds float64  `json:"seconds"`
}

// Recorder keeps evidence where the operator finds it.
type Recorder interface {
	Record(ctx context.Context, evidence Evidence) error
}

// FailedError is a verification that ran to its end and found something wrong.
type FailedError struct{ Evidence Evidence }

func (e *FailedError) Error() string {
	var failed []string
	for _, check := range e.Evidence.Checks {
		if !check.Passed && !check.Advisory {
			failed = append(failed, check.summary())
		}
	}
	return fmt.Sprintf("%d of %d checks failed for %s at position %d: %s", len(failed), len(e.Evidence.Checks), e.Evidence.Database,
		e.Evidence.Position, strings.Join(failed, "; "))
}

func (c Check) summary() string {
	text := c.Name + ": " + c.Detail
	if n := min(len(c.Samples), samplesToTell); n > 0 {
		text += " (such as " + strings.Join(c.Samples[:n], "; ") + ")"
	}
	return text
}

// pass and fail build a check's result.
func pass(figure int64, unit string) Check { return Check{Passed: true, Figure: figure, Unit: unit} }

func fail(figure int64, unit string, faults int64, samples []string, format string, args ...any) Check {
	return Check{Figure: figure, Unit: unit, Faults: faults, Samples: samples, Detail: fmt.Sprintf(format, args...)}
}
