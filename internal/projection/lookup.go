package projection

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Lookup finds the rows of a table by another column than the key. The
// database should have an index on that column.
type Lookup[R any, K uuid.UUID | string] struct {
	table  *Rows[R]
	column string
	key    func(*R) K
	// complete are the keys of which all rows are here.
	complete map[K]bool
	wanted   []K
	// keys are those the table may have.
	keys *keyset
	// ids are the keys of the rows that are here, by what they are looked up by.
	ids map[K][]uuid.UUID
}

// NewLookup adds a lookup by a column to a table.
func NewLookup[R any, K uuid.UUID | string](table *Rows[R], column string, key func(*R) K) *Lookup[R, K] {
	l := &Lookup[R, K]{table: table, column: column, key: key, complete: map[K]bool{}, ids: map[K][]uuid.UUID{}}
	table.lookups = append(table.lookups, l)
	return l
}

// Want asks for all rows with the key.
func (l *Lookup[R, K]) Want(key K) {
	if _, ok := l.complete[key]; ok {
		return
	}
	l.complete[key] = lacksKey(l.keys, key)
	if !l.complete[key] {
		l.wanted = append(l.wanted, key)
	}
}

// Find returns all rows with the key, as they are after the events so far, in
// the order of their ids.
func (l *Lookup[R, K]) Find(key K) []R {
	if !l.complete[key] {
		l.table.undeclared(fmt.Sprintf("%s %v", l.column, key))
		return nil
	}
	ids := slices.Clone(l.ids[key])
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	found := make([]R, len(ids))
	for i, id := range ids {
		found[i] = l.table.entries[id].row
	}
	return found
}

// Known is what Find would return, and whether the rows have been fetched. It
// is for Needs, which follows references.
func (l *Lookup[R, K]) Known(key K) ([]R, bool) {
	if !l.complete[key] {
		return nil, false
	}
	return l.Find(key), true
}

func (l *Lookup[R, K]) wants() []statement {
	if len(l.wanted) == 0 {
		return nil
	}
	c := l.table.layout.column(l.column)
	return []statement{l.table.fetch(c, keyArray(c, l.wanted))}
}

func (l *Lookup[R, K]) arrived() {
	for _, key := range l.wanted {
		l.complete[key] = true
	}
	l.wanted = l.wanted[:0]
}

// moved notes that a row has become another one, or has come or gone: then
// before or after is nil.
func (l *Lookup[R, K]) moved(before, after *R) {
	switch {
	case before == nil:
		l.add(after)
	case after == nil:
		l.remove(before)
	case l.key(before) != l.key(after):
		l.remove(before)
		l.add(after)
	}
}

func (l *Lookup[R, K]) add(row *R) {
	key := l.key(row)
	addKey(l.keys, key)
	l.ids[key] = append(l.ids[key], l.table.shape.Key(row))
}

func (l *Lookup[R, K]) remove(row *R) {
	key := l.key(row)
	left := l.ids[key]
	i := slices.Index(left, l.table.shape.Key(row))
	left[i] = left[len(left)-1]
	if left = left[:len(left)-1]; len(left) > 0 {
		l.ids[key] = left
	} else {
		delete(l.ids, key)
	}
}

func (l *Lookup[R, K]) collectKeys(ctx context.Context, conn *pgx.Conn) error {
	var err error
	l.keys, err = newKeyset(ctx, conn, l.table.shape.Name)
	return err
}

func (l *Lookup[R, K]) evict(row *R) {
	delete(l.complete, l.key(row))
	l.remove(row)
}

// evicted forgets the keys without rows, which no row takes along.
func (l *Lookup[R, K]) evicted() {
	for key := range l.complete {
		if len(l.ids[key]) == 0 {
			delete(l.complete, key)
		}
	}
}

func (l *Lookup[R, K]) size() int { return len(l.complete) + len(l.ids) }
