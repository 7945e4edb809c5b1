package projection

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Shape tells how rows of type R are stored. The first column is the key.
type Shape[R any] struct {
	Name    string
	Columns []string
	Key     func(*R) uuid.UUID
	// Encode writes the fields in the order of the columns.
	Encode func(*Encoder, *R)
	// Decode reads them in the same order.
	Decode func(*Fields) R
}

// Rows is a table whose rows projectors look up, put and delete by key. It
// holds the rows that the chunk at work needs, and writes what became of them
// in one go: an entity that ten events changed is written once. Some rows stay
// for the next chunk.
type Rows[R any] struct {
	shape   Shape[R]
	entries map[uuid.UUID]*entry[R]
	wanted  []uuid.UUID
	// changed are the keys that were put or deleted, in the order of the first time.
	changed []uuid.UUID
	lookups []lookup[R]
	encoder Encoder
	mistake error
}

// uuidArray is an array that the driver encodes without a detour over text.
type uuidArray []uuid.UUID

// Dimensions implements pgtype.ArrayGetter.
func (a uuidArray) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(a)), LowerBound: 1}} //nolint:gosec // a chunk has few keys
}

// Index implements pgtype.ArrayGetter.
func (a uuidArray) Index(i int) any { return pgtype.UUID{Bytes: a[i], Valid: true} }

// IndexType implements pgtype.ArrayGetter.
func (a uuidArray) IndexType() any { return pgtype.UUID{} }

// entry is a row as it is now, and whether the database has one of its key.
type entry[R any] struct {
	row              R
	exists, inStore  bool
	dirty, requested bool
}

// lookup is a second way to find rows.
type lookup[R any] interface {
	load(ctx context.Context, conn *pgx.Conn) (bool, error)
	add(*R)
	remove(*R)
	size() int
	reset()
}

// NewRows makes a table of the given shape.
func NewRows[R any](shape Shape[R]) *Rows[R] {
	return &Rows[R]{shape: shape, entries: map[uuid.UUID]*entry[R]{}}
}

// Want asks for the row with the key.
func (t *Rows[R]) Want(key uuid.UUID) {
	if _, ok := t.entries[key]; !ok {
		t.entries[key] = &entry[R]{requested: true}
		t.wanted = append(t.wanted, key)
	}
}

// Get returns the row with the key as it is after the events so far.
func (t *Rows[R]) Get(key uuid.UUID) (R, bool) {
	e := t.entry(key)
	if e == nil || !e.exists {
		var none R
		return none, false
	}
	return e.row, true
}

// Known is what Get would return, or nothing while the row is still to be
// fetched. It is for Needs, which follows references.
func (t *Rows[R]) Known(key uuid.UUID) (R, bool) {
	if e := t.entries[key]; e != nil && !e.requested && e.exists {
		return e.row, true
	}
	var none R
	return none, false
}

// Put inserts or replaces the row of its key.
func (t *Rows[R]) Put(row R) {
	key := t.shape.Key(&row)
	e := t.entry(key)
	if e == nil {
		return
	}
	t.forget(e)
	e.row, e.exists = row, true
	for _, l := range t.lookups {
		l.add(&e.row)
	}
	t.touch(key, e)
}

// Delete removes the row with the key.
func (t *Rows[R]) Delete(key uuid.UUID) {
	e := t.entry(key)
	if e == nil || !e.exists {
		return
	}
	t.forget(e)
	var none R
	e.row, e.exists = none, false
	t.touch(key, e)
}

// entry finds what was asked for; anything else is the projector's mistake.
func (t *Rows[R]) entry(key uuid.UUID) *entry[R] {
	e := t.entries[key]
	if (e == nil || e.requested) && t.mistake == nil {
		t.mistake = &UndeclaredError{Table: t.shape.Name, Key: key.String()}
	}
	if e == nil || e.requested {
		return nil
	}
	return e
}

func (t *Rows[R]) forget(e *entry[R]) {
	if !e.exists {
		return
	}
	for _, l := range t.lookups {
		l.remove(&e.row)
	}
}

func (t *Rows[R]) touch(key uuid.UUID, e *entry[R]) {
	if !e.dirty {
		e.dirty = true
		t.changed = append(t.changed, key)
	}
}

func (t *Rows[R]) title() string { return t.shape.Name }

func (t *Rows[R]) load(ctx context.Context, conn *pgx.Conn) (bool, error) {
	more := len(t.wanted) > 0
	if more {
		if err := t.fetch(ctx, conn, t.shape.Columns[0], "uuid[]", uuidArray(t.wanted)); err != nil {
			return false, err
		}
		for _, key := range t.wanted {
			t.entries[key].requested = false
		}
		t.wanted = t.wanted[:0]
	}
	for _, l := range t.lookups {
		found, err := l.load(ctx, conn)
		if err != nil {
			return false, err
		}
		more = more || found
	}
	return more, nil
}

// fetch reads the rows whose column has one of the keys. A row that is here
// already is kept: it may have been changed since.
func (t *Rows[R]) fetch(ctx context.Context, conn *pgx.Conn, column, keyType string, keys any) error {
	// A join, because "= ANY" of many keys may compare each row with each key.
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT %s FROM unnest($1::%s) AS wanted (key) JOIN %s ON %s = wanted.key",
		columnList(t.shape.Columns), keyType, pgx.Identifier{t.shape.Name}.Sanitize(), pgx.Identifier{column}.Sanitize()),
		pgx.QueryResultFormats{pgx.BinaryFormatCode}, keys)
	if err != nil {
		return fmt.Errorf("read rows of %s: %w", t.shape.Name, err)
	}
	defer rows.Close()
	for rows.Next() {
		fields := Fields{values: rows.RawValues()}
		row := t.shape.Decode(&fields)
		if fields.err != nil {
			return fmt.Errorf("read a row of %s: %w", t.shape.Name, fields.err)
		}
		t.keep(row)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read rows of %s: %w", t.shape.Name, err)
	}
	return nil
}

func (t *Rows[R]) keep(row R) {
	key := t.shape.Key(&row)
	e := t.entries[key]
	if e != nil && !e.requested {
		return
	}
	if e == nil {
		e = &entry[R]{}
		t.entries[key] = e
	}
	*e = entry[R]{row: row, exists: true, inStore: true, requested: e.requested}
	for _, l := range t.lookups {
		l.add(&e.row)
	}
}

// flush deletes every changed row that the database has and inserts those
// that exist now, so that rows may exchange unique values. The constraints on
// them are deferred.
func (t *Rows[R]) flush(ctx context.Context, conn *pgx.Conn) error {
	var stale []uuid.UUID
	t.encoder.reset()
	for _, key := range t.changed {
		e := t.entries[key]
		if e.inStore {
			stale = append(stale, key)
		}
		if e.exists {
			t.encoder.Row(len(t.shape.Columns))
			t.shape.Encode(&t.encoder, &e.row)
		}
	}
	if len(stale) > 0 {
		_, err := conn.Exec(ctx, fmt.Sprintf("DELETE FROM %s USING unnest($1::uuid[]) AS stale (key) WHERE %s = stale.key",
			pgx.Identifier{t.shape.Name}.Sanitize(), pgx.Identifier{t.shape.Columns[0]}.Sanitize()), uuidArray(stale))
		if err != nil {
			return fmt.Errorf("replace rows of %s: %w", t.shape.Name, err)
		}
	}
	return copyIn(ctx, conn, t.shape.Name, t.shape.Columns, &t.encoder)
}

// keptRows bounds what of a table is kept from chunk to chunk.
var keptRows = 50_000

func (t *Rows[R]) settle() {
	kept := len(t.entries)
	for _, l := range t.lookups {
		kept = max(kept, l.size())
	}
	if kept > keptRows {
		t.reset()
		return
	}
	for _, key := range t.changed {
		e := t.entries[key]
		e.dirty, e.inStore = false, e.exists
	}
	t.changed = t.changed[:0]
}

func (t *Rows[R]) reset() {
	clear(t.entries)
	t.wanted, t.changed, t.mistake = t.wanted[:0], t.changed[:0], nil
	for _, l := range t.lookups {
		l.reset()
	}
}

func (t *Rows[R]) fault() error { return t.mistake }
