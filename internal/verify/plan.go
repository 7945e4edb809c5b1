package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Plan is what a release asks of a verification beyond the checks of the
// edition. Its JSON is that of spec.verify.
type Plan struct {
	Compare      Mode       `json:"compare,omitempty"`
	ExpectedDiff []Expected `json:"expectedDiff,omitempty"`
	Queries      []Query    `json:"queries,omitempty"`
}

// Mode says what becomes of differences from the live version's database.
type Mode string

// The modes. Report tells differences, Require lets them fail the verification.
const (
	Off     Mode = "Off"
	Report  Mode = "Report"
	Require Mode = "Require"
)

// Kind is a way in which a row differs from the live version's.
type Kind string

// The kinds. Missing rows are those that only the live version has.
const (
	Missing Kind = "Missing"
	Extra   Kind = "Extra"
	Changed Kind = "Changed"
)

// Expected is a difference from the live version's database that is meant to be.
type Expected struct {
	Table string `json:"table"`
	// Columns may differ; without columns all may.
	Columns []string `json:"columns,omitempty"`
	// Kinds are expected; without kinds it is Changed if columns are named and
	// otherwise all.
	Kinds []Kind `json:"kinds,omitempty"`
}

// expects tells whether differences of a kind are expected, in some column if
// the kind is Changed.
func (e Expected) expects(kind Kind) bool {
	if len(e.Kinds) > 0 {
		return slices.Contains(e.Kinds, kind)
	}
	return len(e.Columns) == 0 || kind == Changed
}

// Query is a check of the user's own.
type Query struct {
	Name   string `json:"name"`
	Query  string `json:"query"`
	Expect string `json:"expect"`
	// Timeout is how long the query may take, a minute if it is not set.
	Timeout Duration `json:"timeout,omitempty,omitzero"`
}

// Duration is written as text, such as 1m30s.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

var queryName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// ParsePlan reads a plan. The error says what is wrong with it.
func ParsePlan(text []byte) (Plan, error) {
	var p Plan
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read the plan: %w", err)
	}
	return p, p.validate()
}

func (p Plan) validate() error {
	if !slices.Contains([]Mode{"", Off, Report, Require}, p.Compare) {
		return fmt.Errorf("compare must be Off, Report or Require, not %q", p.Compare)
	}
	tables, names := map[string]bool{}, map[string]bool{}
	for _, e := range p.ExpectedDiff {
		if e.Table == "" || tables[e.Table] {
			return fmt.Errorf("expectedDiff must name a table, and each table once; %q is named twice or empty", e.Table)
		}
		tables[e.Table] = true
		for _, kind := range e.Kinds {
			if !slices.Contains([]Kind{Missing, Extra, Changed}, kind) || len(e.Columns) > 0 && kind != Changed {
				return fmt.Errorf("expectedDiff of %s: kinds are Missing, Extra and Changed, and with columns only Changed; not %q", e.Table, kind)
			}
		}
	}
	for _, q := range p.Queries {
		if !queryName.MatchString(q.Name) || names[q.Name] {
			return fmt.Errorf("a query needs a name of its own of lower-case letters, digits and dashes, not %q", q.Name)
		}
		names[q.Name] = true
		if q.Query == "" || q.Timeout < 0 {
			return fmt.Errorf("query %s needs a statement, and a timeout that is not below 0", q.Name)
		}
	}
	return nil
}
