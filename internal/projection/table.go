package projection

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Table is a table of the version's database as the engine uses it: [Rows] or
// [Appends]. It is memory only; what is to be read and written it says in
// statements and changes.
type Table interface {
	// title is the table's name.
	title() string
	// describe reads the columns' types; it comes before everything else.
	describe(ctx context.Context, conn *pgx.Conn) error
	// collectKeys has the table remember which keys it has, if it is empty.
	collectKeys(ctx context.Context, conn *pgx.Conn) error
	// begin says the number of the chunk that is at work from now on.
	begin(chunk int64)
	// wants are the queries for the rows that were asked for, and arrived tells
	// that they were answered.
	wants() []statement
	arrived()
	// take hands over what is to be written, if there is anything, and takes it
	// for written: nobody else changes the rows as long as the epoch is the same.
	// Rows are written with the last batch of a chunk, additions with each.
	take(last bool) (change, bool)
	// size is about how many bytes of memory the rows take, and those of them that
	// the chunk at work has used.
	size() (all, used int)
	// evict forgets rows that were last used by that chunk, which is committed, or
	// an earlier one, until the share is left. It tells whether there were so many.
	evict(after int64, share float64) bool
	// fault is a mistake of a projector found since the model was made.
	fault() error
}

// Appends is a table that only ever grows, such as the revisions. Its rows are
// written batch by batch and never read.
type Appends struct {
	name   string
	names  []string
	layout *layout
	spare  encoders
	rows   *Encoder
}

// NewAppends describes a table that projectors only add rows to.
func NewAppends(name string, columns ...string) *Appends {
	spare := newEncoders()
	return &Appends{name: name, names: columns, spare: spare, rows: spare.get()}
}

// Row begins a new row; the caller writes its fields in order.
func (a *Appends) Row() *Encoder {
	a.rows.Row(len(a.names))
	return a.rows
}

func (a *Appends) title() string { return a.name }

func (a *Appends) describe(ctx context.Context, conn *pgx.Conn) error {
	var err error
	a.layout, err = readLayout(ctx, conn, a.name, a.names)
	return err
}

func (a *Appends) collectKeys(context.Context, *pgx.Conn) error { return nil }

func (a *Appends) begin(int64) {}

func (a *Appends) wants() []statement { return nil }

func (a *Appends) arrived() {}

func (a *Appends) take(bool) (change, bool) {
	if a.rows.rows == 0 {
		return change{}, false
	}
	c := change{layout: a.layout, inserted: a.rows}
	a.rows = a.spare.get()
	return c, true
}

func (a *Appends) size() (all, used int) { return 0, 0 }

func (a *Appends) evict(int64, float64) bool { return true }

func (a *Appends) fault() error { return nil }
