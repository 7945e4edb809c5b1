package projection

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
// holds the rows that the chunk at work needs, and tells in the end what became
// of them: an entity that ten events changed is written once. Rows stay for
// the chunks to come until their place is needed.
type Rows[R any] struct {
	shape   Shape[R]
	layout  *layout
	entries map[uuid.UUID]*entry[R]
	wanted  []uuid.UUID
	// changed are the keys that were put or deleted, in the order of the first time.
	changed []uuid.UUID
	lookups []lookup[R]
	mistake error
	spare   encoders
	// keys are those the table may have.
	keys *keyset
	// chunk is the number of the chunk at work.
	chunk int64
	// encoded and encodedBytes give the size of a row on average.
	encoded, encodedBytes int
}

// entry is a row as it is now, and whether the database has one of its key.
type entry[R any] struct {
	row R
	// used is the last chunk that asked for the row.
	used             int64
	exists, inStore  bool
	dirty, requested bool
}

// lookup is a second way to find rows.
type lookup[R any] interface {
	// wants are the queries for what was asked for, arrived that they were answered.
	wants() []statement
	arrived()
	moved(before, after *R)
	collectKeys(ctx context.Context, conn *pgx.Conn) error
	evicted()
	size() int
	reset()
}

// NewRows makes a table of the given shape.
func NewRows[R any](shape Shape[R]) *Rows[R] {
	return &Rows[R]{shape: shape, entries: map[uuid.UUID]*entry[R]{}, spare: newEncoders()}
}

// Want asks for the row with the key.
func (t *Rows[R]) Want(key uuid.UUID) {
	e := t.entries[key]
	if e == nil {
		e = &entry[R]{requested: !lacksKey(t.keys, key)}
		t.entries[key] = e
		if e.requested {
			t.wanted = append(t.wanted, key)
		}
	}
	e.used = t.chunk
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
	if e := t.entry(key); e != nil {
		t.change(key, e, &row)
	}
}

// Delete removes the row with the key.
func (t *Rows[R]) Delete(key uuid.UUID) {
	if e := t.entry(key); e != nil && e.exists {
		t.change(key, e, nil)
	}
}

// entry finds what was asked for; anything else is the projector's mistake.
func (t *Rows[R]) entry(key uuid.UUID) *entry[R] {
	e := t.entries[key]
	if e == nil || e.requested {
		t.undeclared(key.String())
		return nil
	}
	return e
}

func (t *Rows[R]) undeclared(key string) {
	if t.mistake == nil {
		t.mistake = &UndeclaredError{Table: t.shape.Name, Key: key}
	}
}

// change gives an entry another row, or none.
func (t *Rows[R]) change(key uuid.UUID, e *entry[R], after *R) {
	t.move(e, after)
	addKey(t.keys, key)
	e.used = t.chunk
	if !e.dirty {
		e.dirty = true
		t.changed = append(t.changed, key)
	}
}

func (t *Rows[R]) move(e *entry[R], after *R) {
	var before *R
	if e.exists {
		before = &e.row
	}
	if before != nil || after != nil {
		for _, l := range t.lookups {
			l.moved(before, after)
		}
	}
	if e.exists = after != nil; e.exists {
		e.row = *after
	} else {
		var none R
		e.row = none
	}
}

func (t *Rows[R]) title() string { return t.shape.Name }

func (t *Rows[R]) describe(ctx context.Context, conn *pgx.Conn) error {
	var err error
	t.layout, err = readLayout(ctx, conn, t.shape.Name, t.shape.Columns)
	return err
}

func (t *Rows[R]) collectKeys(ctx context.Context, conn *pgx.Conn) error {
	for _, l := range t.lookups {
		if err := l.collectKeys(ctx, conn); err != nil {
			return err
		}
	}
	var err error
	t.keys, err = newKeyset(ctx, conn, t.shape.Name)
	return err
}

func (t *Rows[R]) begin(chunk int64) { t.chunk = chunk }

func (t *Rows[R]) wants() []statement {
	var all []statement
	if len(t.wanted) > 0 {
		all = append(all, t.fetch(t.layout.columns[0], keyArray(t.layout.columns[0], t.wanted)))
	}
	for _, l := range t.lookups {
		all = append(all, l.wants()...)
	}
	return all
}

// fetch reads the rows whose column has one of the keys.
func (t *Rows[R]) fetch(c column, keys []byte) statement {
	return statement{doing: "read rows of " + t.shape.Name, sql: t.layout.fetch(c), params: [][]byte{keys}, row: t.receive}
}

// receive takes a row of the database. One that is here already is kept: it
// may have been changed since.
func (t *Rows[R]) receive(values [][]byte) error {
	fields := Fields{values: values}
	row := t.shape.Decode(&fields)
	if fields.err != nil {
		return fields.err
	}
	key := t.shape.Key(&row)
	e := t.entries[key]
	if e == nil {
		e = &entry[R]{}
		t.entries[key] = e
	} else if !e.requested || e.inStore {
		return nil
	}
	e.inStore, e.used = true, t.chunk
	t.move(e, &row)
	return nil
}

func (t *Rows[R]) arrived() {
	for _, key := range t.wanted {
		t.entries[key].requested = false
	}
	t.wanted = t.wanted[:0]
	for _, l := range t.lookups {
		l.arrived()
	}
}

func (t *Rows[R]) take(last bool) (change, bool) {
	if !last || len(t.changed) == 0 {
		return change{}, false
	}
	c := change{layout: t.layout, spare: t.spare, inserted: t.spare.get()}
	for _, key := range t.changed {
		e := t.entries[key]
		switch {
		case e.exists && e.inStore:
			t.encode(c.updating(), e)
		case e.exists:
			t.encode(c.inserted, e)
		case e.inStore:
			c.removed = append(c.removed, key)
		}
		e.dirty, e.inStore = false, e.exists
	}
	t.changed = t.changed[:0]
	return c, true
}

func (t *Rows[R]) encode(into *Encoder, e *entry[R]) {
	before := len(into.buf)
	into.Row(len(t.shape.Columns))
	t.shape.Encode(into, &e.row)
	t.encoded, t.encodedBytes = t.encoded+1, t.encodedBytes+len(into.buf)-before
}

// entryBytes is about what a row costs in memory beside its texts, and
// lookupBytes what a key of a lookup costs.
const entryBytes, lookupBytes = 250, 100

func (t *Rows[R]) size() int {
	perRow := entryBytes
	if t.encoded > 0 {
		perRow += t.encodedBytes / t.encoded
	}
	size := len(t.entries) * perRow
	for _, l := range t.lookups {
		size += l.size() * lookupBytes
	}
	return size
}

func (t *Rows[R]) evict(after int64) {
	for key, e := range t.entries {
		if e.used > after {
			continue
		}
		if e.exists {
			t.move(e, nil)
		}
		delete(t.entries, key)
	}
	for _, l := range t.lookups {
		l.evicted()
	}
}

func (t *Rows[R]) reset() {
	clear(t.entries)
	t.wanted, t.changed, t.mistake = t.wanted[:0], t.changed[:0], nil
	for _, l := range t.lookups {
		l.reset()
	}
}

func (t *Rows[R]) fault() error { return t.mistake }
