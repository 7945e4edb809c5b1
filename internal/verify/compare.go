package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Comparison is how a database differs from the live version's at one
// position.
type Comparison struct {
	Version  string `json:"version"`
	Database string `json:"database"`
	// Tables are those that both have, over the columns that both have.
	Tables []TableDifference `json:"tables"`
	// OnlyHere and OnlyLive are tables, and columns as table.column, that one of
	// them alone has. They are not compared.
	OnlyHere []string `json:"onlyHere,omitempty"`
	OnlyLive []string `json:"onlyLive,omitempty"`
}

// TableDifference is how the rows of a table differ.
type TableDifference struct {
	Table string `json:"table"`
	// Rows is how many rows the live version has.
	Rows    int64 `json:"rows"`
	Missing int64 `json:"missing"`
	Extra   int64 `json:"extra"`
	Changed int64 `json:"changed"`
	// Expected is how many of these differences the release expects.
	Expected int64 `json:"expected"`
}

func (d TableDifference) unexpected() int64 { return d.Missing + d.Extra + d.Changed - d.Expected }

// compareCheck is the name of the check for what can be said of the comparison
// as a whole; those of the tables have the table's name behind it.
const compareCheck = "compared"

// refusedError says that an expected difference cannot be.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return e.message }

// compareAll compares with the live version's database, table by table.
func (in *inspection) compareAll(ctx context.Context) error {
	if in.Plan.Compare == Off || in.Live == nil && in.NotCompared == nil {
		return nil
	}
	tables, err := in.comparable(ctx)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		in.add(named(compareCheck, fail(0, "tables", 1, nil, "%s", refused.message)))
		return nil
	case err != nil:
		check := named(compareCheck, fail(0, "tables", 1, nil, "the databases could not be compared: %s", err))
		check.Advisory = in.Plan.Compare != Require
		in.add(check)
		return ctx.Err()
	}
	for _, table := range tables {
		result, err := in.one(ctx, check{name: compareCheck + ":" + table.name, run: table.check})
		if err != nil {
			return fmt.Errorf("compare table %s with %s: %w", table.name, in.Live.Database, err)
		}
		result.Advisory = in.Plan.Compare != Require
		in.add(result)
	}
	return nil
}

// comparable are the tables that both databases have. It fills in what only
// one of them has, and refuses expectations of what neither has.
func (in *inspection) comparable(ctx context.Context) ([]*comparedTable, error) {
	if in.NotCompared != nil {
		return nil, in.NotCompared
	}
	if in.Live.Position != in.checkpoint.Position {
		return nil, fmt.Errorf("%s is at position %d and %s at %d; hold one and run the other one up to it",
			in.Live.Database, in.Live.Position, in.evidence.Database, in.checkpoint.Position)
	}
	here, err := readTables(ctx, in.database)
	if err != nil {
		return nil, fmt.Errorf("read the tables of %s: %w", in.evidence.Database, err)
	}
	live, err := readTables(ctx, in.Live.tx)
	if err != nil {
		return nil, fmt.Errorf("read the tables of %s: %w", in.Live.Database, err)
	}
	if err := checkExpectations(in.Plan.ExpectedDiff, here, live); err != nil {
		return nil, err
	}
	in.evidence.Comparison = &Comparison{Version: in.Live.Version, Database: in.Live.Database, Tables: []TableDifference{},
		OnlyHere: only(here, live), OnlyLive: only(live, here)}
	var both []*comparedTable
	for _, name := range here.names() {
		if live[name] != nil {
			both = append(both, newComparedTable(name, here[name], live[name], in.Plan.ExpectedDiff))
		}
	}
	return both, nil
}

// checkExpectations refuses what neither database has: a misspelt name would
// otherwise let differences through that nobody expected, or hide that it does
// nothing.
func checkExpectations(expected []Expected, here, live tables) error {
	for _, e := range expected {
		if here[e.Table] == nil && live[e.Table] == nil {
			return &refusedError{fmt.Sprintf("verify.expectedDiff names table %q, which neither database has; the tables are %s",
				e.Table, strings.Join(here.names(), ", "))}
		}
		for _, column := range e.Columns {
			if here[e.Table].column(column) == nil && live[e.Table].column(column) == nil {
				return &refusedError{fmt.Sprintf("verify.expectedDiff names column %q of table %s, which neither database has", column, e.Table)}
			}
		}
	}
	return nil
}

// only are the tables and columns that one has and the other has not.
func only(one, other tables) []string {
	var names []string
	for _, name := range one.names() {
		if other[name] == nil {
			names = append(names, name)
			continue
		}
		for _, c := range one[name].columns {
			if other[name].column(c.name) == nil {
				names = append(names, name+"."+c.name)
			}
		}
	}
	return names
}

// commonKind is the type that values of two types are compared in; an empty one
// is text.
func commonKind(one, other string) string {
	switch {
	case one == other:
		return one
	case strings.HasPrefix(one, "json") && strings.HasPrefix(other, "json"):
		return "json"
	}
	return ""
}

// newComparedTable sorts the columns of a table into those that must be equal
// and those that may differ.
func newComparedTable(name string, here, live *table, expectations []Expected) *comparedTable {
	t := &comparedTable{name: name}
	for _, e := range expectations {
		if e.Table == name {
			t.expected = e
		}
	}
	if slices.Equal(here.key, live.key) {
		t.key = here.key
	}
	for _, c := range here.columns {
		other := live.column(c.name)
		if other == nil {
			continue
		}
		both := column{name: c.name, kind: c.kind}
		both.kind = commonKind(c.kind, other.kind)
		if slices.Contains(t.expected.Columns, c.name) {
			t.free = append(t.free, both)
		} else {
			t.bound = append(t.bound, both)
		}
	}
	return t
}
