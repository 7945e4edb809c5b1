package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// AnotherLogError says that a release's databases were built from another log
// than the one that is described now.
type AnotherLogError struct {
	// Built and Described are tables with the columns that order them.
	Built, Described string
}

func (e *AnotherLogError) Error() string {
	return fmt.Sprintf("the databases of this release were built from the log %s, and spec.source.log describes %s: their positions mean nothing there. "+
		"Put spec.source.log back, or make another NawhasRelease for the other log", e.Built, e.Described)
}

// KeepLog records which log the release is built from, before anything is. Once
// there is a version it can be no other one: that is a *AnotherLogError. The
// default log is where databases come from that were built before this was kept.
func (l *Ledger) KeepLog(ctx context.Context, log, defaultLog string) error {
	kept, _ := l.log.Load().(string)
	if kept == "" {
		kept = defaultLog
	}
	if kept == log {
		return nil
	}
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		var versions bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM nawhas_ledger.versions WHERE release = $1)`, l.release).Scan(&versions); err != nil {
			return err
		}
		if versions {
			return &AnotherLogError{Built: kept, Described: log}
		}
		_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.releases SET log = $2 WHERE release = $1`, l.release, log)
		return err
	})
	if err != nil {
		return fmt.Errorf("record the log of %s in the ledger: %w", l.release, err)
	}
	l.log.Store(log)
	return nil
}
