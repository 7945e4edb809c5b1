package eventlog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Copier copies rows into a table: a connection, a transaction or a pool.
type Copier interface {
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// AppendBulk adds many events in one COPY: the quick way to fill a log. All of
// them are added or none, in their order, and the errors are those of
// [Log.Append]. Their positions are not returned.
func (l *Log) AppendBulk(ctx context.Context, db Copier, events []NewEvent) error {
	if err := l.Appendable(); err != nil {
		return err
	}
	for _, e := range events {
		if err := l.acceptable(e); err != nil {
			return err
		}
	}
	rows := pgx.CopyFromSlice(len(events), func(i int) ([]any, error) {
		e := events[i]
		// Bytes keep the driver from encoding the payload a second time.
		row := []any{e.ID, e.Name, []byte(e.Payload)}
		if l.table.Version != "" {
			row = append(row, e.Version)
		}
		return row, nil
	})
	copied, err := db.CopyFrom(ctx, pgx.Identifier{l.table.Schema, l.table.Name}, l.sql.copyColumns, rows)
	if err != nil {
		return l.appendError(err, NewEvent{})
	}
	if copied != int64(len(events)) {
		return fmt.Errorf("append to the log: %d of %d events were copied", copied, len(events))
	}
	return nil
}
