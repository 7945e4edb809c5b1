package verify

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// list is a list of rows that is read as it comes: it holds one row. It is
// sorted by a key, in the order of the key's bytes.
type list[R any] struct {
	rows pgx.Rows
	scan func(pgx.Rows, *string, *R) error
	key  string
	row  R
	more bool
	err  error
}

// newList reads rows of a key and a value.
func newList[R any](rows pgx.Rows) *list[R] {
	return &list[R]{rows: rows, scan: func(rows pgx.Rows, key *string, row *R) error { return rows.Scan(key, row) }}
}

// newKeys reads rows of a key alone.
func newKeys(rows pgx.Rows) *list[struct{}] {
	return &list[struct{}]{rows: rows, scan: func(rows pgx.Rows, key *string, _ *struct{}) error { return rows.Scan(key) }}
}

func (l *list[R]) next() {
	if l.more = l.rows.Next(); !l.more {
		l.err = l.rows.Err()
		return
	}
	l.err = l.scan(l.rows, &l.key, &l.row)
	l.more = l.err == nil
}

// compare puts a list that has ended behind everything.
func (l *list[R]) compare(other *list[R]) int {
	switch {
	case !l.more:
		return 1
	case !other.more:
		return -1
	}
	return strings.Compare(l.key, other.key)
}

// steps are what is done at each key on a walk along two lists.
type steps[R any] struct {
	missing, extra func(key string)
	both           func(key string, expected, found R)
}

// walk goes along both lists side by side, and reads both to their end.
func walk[R any](expected, found *list[R], at steps[R]) error {
	expected.next()
	found.next()
	for expected.more || found.more {
		switch order := expected.compare(found); {
		case order < 0:
			at.missing(expected.key)
			expected.next()
		case order > 0:
			at.extra(found.key)
			found.next()
		default:
			at.both(expected.key, expected.row, found.row)
			expected.next()
			found.next()
		}
	}
	if expected.err != nil {
		return expected.err
	}
	return found.err
}

// samples keeps the first few of the keys that are noted.
type samples struct{ noted []string }

func (s *samples) note(text string) {
	if len(s.noted) < maxSamples {
		s.noted = append(s.noted, text)
	}
}
