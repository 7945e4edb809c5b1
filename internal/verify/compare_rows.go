package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// comparedTable is a table that both databases have.
type comparedTable struct {
	name     string
	expected Expected
	key      []string
	// bound columns must be equal, free ones are expected to differ.
	bound, free []column
}

// columns are all that are compared, in the order of their names.
func (t *comparedTable) columns() []column {
	all := slices.Concat(t.bound, t.free)
	slices.SortFunc(all, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return all
}

func (t *comparedTable) column(name string) *column {
	all := t.columns()
	if i := slices.IndexFunc(all, func(c column) bool { return c.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// pair are the two databases at one position.
type pair struct{ live, here pgx.Tx }

// check compares a sum of all rows, and walks along the rows only when the
// sums differ. A savepoint of the live one's snapshot lets the other tables be
// compared whatever happens here.
func (t *comparedTable) check(ctx context.Context, in *inspection) (result Check, err error) {
	err = pgx.BeginFunc(ctx, in.Live.tx, func(live pgx.Tx) error {
		result, err = t.compare(ctx, in, pair{live: live, here: in.database})
		return err
	})
	return result, err
}

func (t *comparedTable) compare(ctx context.Context, in *inspection, p pair) (Check, error) {
	live, here, err := t.sums(ctx, p)
	if err != nil {
		return Check{}, err
	}
	diff := TableDifference{Table: t.name, Rows: live.rows}
	if here == live {
		in.evidence.Comparison.Tables = append(in.evidence.Comparison.Tables, diff)
		return pass(live.rows, "rows"), nil
	}
	if len(t.key) == 0 {
		return fail(live.rows, "rows", 1, nil, "the rows differ, and cannot be told one by one: the two versions have no primary key of the same columns"), nil
	}
	keys, err := t.walk(ctx, p, &diff)
	if err != nil {
		return Check{}, err
	}
	in.evidence.Comparison.Tables = append(in.evidence.Comparison.Tables, diff)
	if diff.unexpected() == 0 {
		check := pass(live.rows, "rows")
		check.Detail = diff.String()
		return check, nil
	}
	return fail(live.rows, "rows", diff.unexpected(), keys, "unlike in the live version, %s", diff), nil
}

func (d TableDifference) String() string {
	text := fmt.Sprintf("%d rows are missing, %d extra, %d changed", d.Missing, d.Extra, d.Changed)
	if d.Expected > 0 {
		text += fmt.Sprintf("; %d of these differences are expected", d.Expected)
	}
	return text
}

// tableSum is a table in short.
type tableSum struct {
	rows int64
	hash string
}

// sums reads both databases at once.
func (t *comparedTable) sums(ctx context.Context, p pair) (live, here tableSum, err error) {
	group, ctx := errgroup.WithContext(ctx)
	for tx, sum := range map[pgx.Tx]*tableSum{p.live: &live, p.here: &here} {
		group.Go(func() error {
			return tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*), coalesce(sum(%s), 0)::text FROM %s", hashOf(t.columns(), column.written), t.quoted())).Scan(&sum.rows, &sum.hash)
		})
	}
	err = group.Wait()
	return live, here, err
}

func (t *comparedTable) quoted() string { return pgx.Identifier{"public", t.name}.Sanitize() }

// rowHash sums up the bound and the free columns of a row.
type rowHash struct{ bound, free int64 }

// walk counts the differences row by row, and returns some keys of those that
// are not expected.
func (t *comparedTable) walk(ctx context.Context, p pair, diff *TableDifference) ([]string, error) {
	live, err := t.rows(ctx, p.live)
	if err != nil {
		return nil, err
	}
	defer live.rows.Close()
	here, err := t.rows(ctx, p.here)
	if err != nil {
		return nil, err
	}
	defer here.rows.Close()
	var missing, extra, changed samples
	count := func(kind Kind, counter *int64, keys *samples, key string) {
		*counter++
		if t.expected.Table != "" && t.expected.expects(kind) {
			diff.Expected++
			return
		}
		keys.note(t.name + " " + key + " is " + strings.ToLower(string(kind)))
	}
	allChanges := t.expected.Table != "" && t.expected.expects(Changed) && len(t.expected.Columns) == 0
	err = walk(live, here, steps[rowHash]{
		missing: func(key string) { count(Missing, &diff.Missing, &missing, key) },
		extra:   func(key string) { count(Extra, &diff.Extra, &extra, key) },
		both: func(key string, live, here rowHash) {
			switch {
			case live == here:
			case live.bound == here.bound || allChanges:
				diff.Changed++
				diff.Expected++
			default:
				diff.Changed++
				changed.note(key)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	described, err := t.describe(ctx, p, changed.noted)
	return someOfEach(missing.noted, extra.noted, described), err
}

// someOfEach takes from the lists in turn, so that each kind of difference has
// samples.
func someOfEach(lists ...[]string) []string {
	var taken []string
	for i := range maxSamples {
		for _, list := range lists {
			if i < len(list) {
				taken = append(taken, list[i])
			}
		}
	}
	return first(taken)
}

func (t *comparedTable) rows(ctx context.Context, tx pgx.Tx) (*list[rowHash], error) {
	key, order := keyOf(t.key, t.column)
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT %s, %s, %s FROM %s ORDER BY %s", key, hashOf(t.bound, column.value), hashOf(t.free, column.value), t.quoted(), order))
	if err != nil {
		return nil, err
	}
	return &list[rowHash]{rows: rows, scan: func(rows pgx.Rows, key *string, row *rowHash) error {
		return rows.Scan(key, &row.bound, &row.free)
	}}, nil
}

// describe says of a few changed rows which columns differ, never their values.
func (t *comparedTable) describe(ctx context.Context, p pair, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	live, err := t.digests(ctx, p.live, keys)
	if err != nil {
		return nil, err
	}
	here, err := t.digests(ctx, p.here, keys)
	if err != nil {
		return nil, err
	}
	var described []string
	for _, key := range keys {
		var differing []string
		for i, c := range t.columns() {
			if live[key][i] != here[key][i] {
				differing = append(differing, c.name)
			}
		}
		described = append(described, fmt.Sprintf("%s %s differs in %s", t.name, key, strings.Join(differing, ", ")))
	}
	return described, nil
}

// digests are those of the columns of a few rows, by the rows' keys.
func (t *comparedTable) digests(ctx context.Context, tx pgx.Tx, keys []string) (map[string][]int64, error) {
	var values []string
	for _, c := range t.columns() {
		values = append(values, hashOf([]column{c}, column.value))
	}
	text, _ := keyOf(t.key, t.column)
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT %s, ARRAY[%s] FROM %s WHERE %[1]s = ANY ($1)", text, strings.Join(values, ", "), t.quoted()), keys)
	if err != nil {
		return nil, err
	}
	found := map[string][]int64{}
	var key string
	var digests []int64
	_, err = pgx.ForEachRow(rows, []any{&key, &digests}, func() error {
		found[key], digests = digests, nil
		return nil
	})
	return found, err
}
