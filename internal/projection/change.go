package projection

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// change is what becomes of a table's rows. It is apart from the rows in
// memory, so that these may change again while it is written.
type change struct {
	*layout
	spare   encoders
	removed []uuid.UUID
	// updated are rows in pieces of at most [manyRows].
	updated  []*Encoder
	inserted *Encoder
}

// manyRows are worth a COPY, which takes round trips of its own. No other
// statement is given more.
const manyRows = 2000

// updating is where the next row to update is to be encoded.
func (c *change) updating() *Encoder {
	if n := len(c.updated); n > 0 && c.updated[n-1].rows < manyRows {
		return c.updated[n-1]
	}
	c.updated = append(c.updated, c.spare.get())
	return c.updated[len(c.updated)-1]
}

// release gives the memory of the encoded rows back.
func (c *change) release() {
	for _, piece := range c.updated {
		piece.release()
	}
	c.inserted.release()
}

// statements say the change. Rows are updated in place, which leaves the
// indexes alone unless an indexed column changed. Rows may exchange unique
// values: the constraints on them are deferred.
func (c *change) statements() []statement {
	all := c.replacements()
	if c.inserted.rows > 0 {
		all = append(all, statement{doing: "add rows to " + c.table, sql: c.insert, params: arrays(c.columns, c.inserted)})
	}
	return all
}

// replacements are the statements that deal with the rows the database has.
func (c *change) replacements() []statement {
	var all []statement
	for keys := range slices.Chunk(c.removed, manyRows) {
		all = append(all, statement{doing: "remove rows of " + c.table, sql: c.remove, params: [][]byte{keyArray(c.columns[0], keys)}})
	}
	for _, piece := range c.updated {
		all = append(all, statement{doing: "update rows of " + c.table, sql: c.update, params: arrays(c.columns, piece)})
	}
	return all
}

// bulk tells whether the rows to add are too many for a statement.
func (c *change) bulk() bool { return c.inserted.rows > manyRows }

// load adds the rows with COPY, which is the fastest way for many.
func (c *change) load(ctx context.Context, w *wire) error {
	if c.inserted.rows == 0 {
		return nil
	}
	if _, err := w.conn.CopyFrom(ctx, bytes.NewReader(c.inserted.finish()), c.copyIn); err != nil {
		return fmt.Errorf("write %d rows of %s: %w", c.inserted.rows, c.table, err)
	}
	return nil
}
