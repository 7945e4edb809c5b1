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
	// latest is the entry that was asked for last, nil for none: projectors look a
	// row up, and then put it.
	latest    *entry[R]
	latestKey uuid.UUID
	wanted    []uuid.UUID
	// changed are the keys that were put or deleted, in the order of the first time.
	changed []uuid.UUID
	lookups []lookup[R]
	mistake error
	// put is the row that was put last: handing on its address costs no memory of its own.
	put   R
	spare encoders
	// keys are those the table may have.
	keys *keyset
	// chunk is the number of the chunk at work, and used how many rows it has used.
	chunk int64
	used  int
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
	// evict forgets a row, and evicted is told when enough of them are forgotten.
	evict(row *R)
	evicted()
	size() int
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
	t.use(e)
}

// use notes that the chunk at work needs the row, or that there is none.
func (t *Rows[R]) use(e *entry[R]) {
	if e.used != t.chunk {
		e.used = t.chunk
		t.used++
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
	t.put = row
	key := t.shape.Key(&t.put)
	if e := t.entry(key); e != nil {
		t.change(key, e, &t.put)
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
	if t.latest != nil && t.latestKey == key {
		return t.latest
	}
	e := t.entries[key]
	if e == nil || e.requested {
		t.undeclared(key.String())
		return nil
	}
	t.latest, t.latestKey = e, key
	return e
}

func (t *Rows[R]) undeclared(key string) {
	if t.mistake == nil {
		t.mistake = &UndeclaredError{Table: t.shape.Name, Key: key}
	}
}

// change gives an entry another row, or none.
func (t *Rows[R]) change(key uuid.UUID, e *entry[R], after *R) {
	if !e.exists {
		addKey(t.keys, key)
	}
	t.move(e, after)
	t.use(e)
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
