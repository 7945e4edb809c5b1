package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrWritersBusy says that the transactions which are appending did not end in
// time for [Log.Exclude].
var ErrWritersBusy = errors.New("transactions that append to the log did not end in time")

// Completing counts the sessions that wait to complete an event which they have
// appended, while the log is locked. Those whose statements the connected role may
// not see are not among them. It tells nothing of a log that is not completed by
// updates.
func (l *Log) Completing(ctx context.Context, db DB) (int, error) {
	if len(l.table.Updated) == 0 {
		return 0, nil
	}
	var waiting int
	err := db.QueryRow(ctx, `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND NOT l.granted AND l.mode = 'RowExclusiveLock' AND l.relation = `+l.sql.regclass+`
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.query ~* '^\s*update\s'`).Scan(&waiting)
	if err != nil {
		return 0, fmt.Errorf("read who completes an event: %w", err)
	}
	return waiting, nil
}

// Exclude keeps everybody from appending until the transaction ends, which must
// be READ COMMITTED, and returns the highest position: nothing is in flight.
// Readers go on. Writers wait; those that the transaction takes their right
// from are refused when it commits.
//
// It waits for transactions that have appended, and new ones queue behind it,
// so patience should be short: ErrWritersBusy means that it is over, and the
// transaction with it. limit ends the session when it is silent for that long,
// so that a client which is lost does not keep the writers out.
func (l *Log) Exclude(ctx context.Context, tx pgx.Tx, patience, limit time.Duration) (int64, error) {
	settings := fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d",
		max(patience.Milliseconds(), 1), max(limit.Milliseconds(), 1))
	if _, err := tx.Exec(ctx, settings, pgx.QueryExecModeSimpleProtocol); err != nil {
		return 0, fmt.Errorf("bound the wait for the log: %w", err)
	}
	_, err := tx.Exec(ctx, "LOCK TABLE "+l.sql.relation+" IN SHARE ROW EXCLUSIVE MODE")
	const lockNotAvailable = "55P03"
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == lockNotAvailable {
		return 0, ErrWritersBusy
	}
	if err != nil {
		return 0, fmt.Errorf("keep others from appending to the log: %w", err)
	}
	return l.Head(ctx, tx)
}
