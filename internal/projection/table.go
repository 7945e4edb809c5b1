package projection

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Table is a table of the version's database as the engine uses it: [Rows] or
// [Appends].
type Table interface {
	// title is the table's name.
	title() string
	// load fetches the rows that were asked for, and tells whether there were any.
	load(ctx context.Context, conn *pgx.Conn) (bool, error)
	// flush writes the net change since the last chunk.
	flush(ctx context.Context, conn *pgx.Conn) error
	// settle notes that what was flushed is committed. It may keep rows for the
	// next chunk: nobody else changes them as long as the epoch is the same.
	settle()
	// reset forgets all rows, whether they were written or not.
	reset()
	// fault is a mistake of a projector found since the last reset.
	fault() error
}

// Appends is a table that only ever grows, such as the revisions.
type Appends struct {
	name    string
	columns []string
	encoder Encoder
}

// NewAppends describes a table that projectors only add rows to.
func NewAppends(name string, columns ...string) *Appends {
	return &Appends{name: name, columns: columns}
}

// Row begins a new row; the caller writes its fields in order.
func (a *Appends) Row() *Encoder {
	a.encoder.Row(len(a.columns))
	return &a.encoder
}

func (a *Appends) title() string { return a.name }

func (a *Appends) load(context.Context, *pgx.Conn) (bool, error) { return false, nil }

func (a *Appends) flush(ctx context.Context, conn *pgx.Conn) error {
	return copyIn(ctx, conn, a.name, a.columns, &a.encoder)
}

func (a *Appends) settle() { a.encoder.reset() }

func (a *Appends) reset() { a.encoder.reset() }

func (a *Appends) fault() error { return nil }

// copyIn writes the encoded rows into a table.
func copyIn(ctx context.Context, conn *pgx.Conn, table string, columns []string, rows *Encoder) error {
	if rows.rows == 0 {
		return nil
	}
	statement := fmt.Sprintf("COPY %s (%s) FROM STDIN BINARY", pgx.Identifier{table}.Sanitize(), columnList(columns))
	if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(rows.finish()), statement); err != nil {
		return fmt.Errorf("write %d rows of %s: %w", rows.rows, table, err)
	}
	return nil
}

func columnList(columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = pgx.Identifier{column}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}
