package projection

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

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

func (t *Rows[R]) begin(chunk int64) { t.chunk, t.used = chunk, 0 }

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
	e.inStore = true
	t.use(e)
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
	// In order, neighbours in the index come one after the other.
	slices.SortFunc(t.changed, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
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

func (t *Rows[R]) size() (all, used int) {
	if len(t.entries) == 0 {
		return 0, 0
	}
	perRow := entryBytes
	if t.encoded > 0 {
		perRow += t.encodedBytes / t.encoded
	}
	all = len(t.entries) * perRow
	for _, l := range t.lookups {
		all += l.size() * lookupBytes
	}
	return all, int(int64(all) * int64(t.used) / int64(len(t.entries)))
}

func (t *Rows[R]) evict(after int64, share float64) bool {
	t.latest = nil
	keep := int(float64(len(t.entries)) * share)
	for key, e := range t.entries {
		if len(t.entries) <= keep {
			break
		}
		if e.used > after {
			continue
		}
		if e.exists {
			for _, l := range t.lookups {
				l.evict(&e.row)
			}
		}
		delete(t.entries, key)
	}
	for _, l := range t.lookups {
		l.evicted()
	}
	return len(t.entries) <= keep
}

func (t *Rows[R]) fault() error { return t.mistake }
