package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// result is what a search came to.
type result struct {
	check check

	Key     string  `json:"key"`
	States  int64   `json:"states"`
	Seconds float64 `json:"seconds"`
	// Violation is the claim that does not hold, empty when all do.
	Violation string `json:"violation,omitempty"`
	// Known says that nothing has changed since it was found.
	Known bool `json:"-"`
}

// ok reports whether the search came to what it should.
func (r result) ok() bool { return r.check.isMutant() == (r.Violation != "") }

func (r result) String() string {
	kind, verdict := "model", "ok"
	switch {
	case r.check.isMutant() && r.ok():
		kind, verdict = "mutant", "caught: "+r.Violation
	case r.check.isMutant():
		kind, verdict = "mutant", "SURVIVES: "+r.check.mistake
	case !r.ok():
		verdict = "FAILED: " + r.Violation
	}
	if r.Known {
		verdict += " (as before)"
	}
	return fmt.Sprintf("%-6s  %-26s  %10d states  %6.1f s  %s", kind, r.check.name, r.States, r.Seconds, verdict)
}

// summary is what is kept of a run.
type summary struct {
	Models  []modelSummary `json:"models"`
	Mutants []string       `json:"mutants"`
	Caught  []string       `json:"caught"`
}

type modelSummary struct {
	Name    string  `json:"name"`
	States  int64   `json:"states"`
	Seconds float64 `json:"seconds"`
	OK      bool    `json:"ok"`
}

func summarize(results []result) summary {
	s := summary{Models: []modelSummary{}, Mutants: []string{}, Caught: []string{}}
	for _, r := range results {
		if !r.check.isMutant() {
			s.Models = append(s.Models, modelSummary{Name: r.check.name, States: r.States, Seconds: r.Seconds, OK: r.ok()})
			continue
		}
		s.Mutants = append(s.Mutants, r.check.name)
		if r.ok() {
			s.Caught = append(s.Caught, r.check.name)
		}
	}
	return s
}

func (s summary) proven() bool {
	for _, m := range s.Models {
		if !m.OK {
			return false
		}
	}
	return len(s.Models) > 0 && len(s.Caught) == len(s.Mutants)
}

func (s summary) String() string {
	good := 0
	for _, m := range s.Models {
		if m.OK {
			good++
		}
	}
	return fmt.Sprintf("\n%d of %d models hold, %d of %d mutants are caught", good, len(s.Models), len(s.Caught), len(s.Mutants))
}

func (s summary) write(file string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}
