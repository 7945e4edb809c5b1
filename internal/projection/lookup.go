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
type Lookup[R any, K comparable] struct {
	table   *Rows[R]
	column  string
	keyType string
	key     func(*R) K
	// complete are the keys of which all rows are here.
	complete map[K]bool
	wanted   []K
	rows     map[K]map[uuid.UUID]bool
}

// NewLookup adds a lookup to a table. KeyType is the column's type in
// Postgres.
func NewLookup[R any, K comparable](table *Rows[R], column, keyType string, key func(*R) K) *Lookup[R, K] {
	l := &Lookup[R, K]{table: table, column: column, keyType: keyType, key: key,
		complete: map[K]bool{}, rows: map[K]map[uuid.UUID]bool{}}
	table.lookups = append(table.lookups, l)
	return l
}

// Want asks for all rows with the key.
func (l *Lookup[R, K]) Want(key K) {
	if _, ok := l.complete[key]; !ok {
		l.complete[key] = false
		l.wanted = append(l.wanted, key)
	}
}

// Find returns all rows with the key, as they are after the events so far, in
// the order of their ids.
func (l *Lookup[R, K]) Find(key K) []R {
	if !l.complete[key] {
		if l.table.mistake == nil {
			l.table.mistake = &UndeclaredError{Table: l.table.shape.Name, Key: fmt.Sprintf("%s %v", l.column, key)}
		}
		return nil
	}
	ids := make([]uuid.UUID, 0, len(l.rows[key]))
	for id := range l.rows[key] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	found := make([]R, len(ids))
	for i, id := range ids {
		found[i] = l.table.entries[id].row
	}
	return found
}

func (l *Lookup[R, K]) load(ctx context.Context, conn *pgx.Conn) (bool, error) {
	if len(l.wanted) == 0 {
		return false, nil
	}
	if err := l.table.fetch(ctx, conn, l.column, l.keyType+"[]", l.keys()); err != nil {
		return false, err
	}
	for _, key := range l.wanted {
		l.complete[key] = true
	}
	l.wanted = l.wanted[:0]
	return true, nil
}

// keys are the wanted ones in a form that the driver encodes well.
func (l *Lookup[R, K]) keys() any {
	if ids, ok := any(l.wanted).([]uuid.UUID); ok {
		return uuidArray(ids)
	}
	return l.wanted
}

func (l *Lookup[R, K]) add(row *R) {
	key, id := l.key(row), l.table.shape.Key(row)
	if l.rows[key] == nil {
		l.rows[key] = map[uuid.UUID]bool{}
	}
	l.rows[key][id] = true
}

func (l *Lookup[R, K]) remove(row *R) {
	key := l.key(row)
	delete(l.rows[key], l.table.shape.Key(row))
	if len(l.rows[key]) == 0 {
		delete(l.rows, key)
	}
}

func (l *Lookup[R, K]) size() int { return max(len(l.complete), len(l.rows)) }

func (l *Lookup[R, K]) reset() {
	clear(l.complete)
	clear(l.rows)
	l.wanted = l.wanted[:0]
}

// Known is what Find would return, or nothing while the rows are still to be
// fetched. It is for Needs, which follows references.
func (l *Lookup[R, K]) Known(key K) []R {
	if !l.complete[key] {
		return nil
	}
	return l.Find(key)
}
