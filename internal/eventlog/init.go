package eventlog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Starter is what [Log.Init] needs of a connection.
type Starter interface {
	DB
	Begin(ctx context.Context) (pgx.Tx, error)
}

// initLock keeps two Inits of one database apart; CREATE … IF NOT EXISTS
// alone can fail when they meet.
const initLock = 0x6e61776861730001

// Init creates the log if it is not there and then checks it as [Log.Check]
// does. An existing log is never altered. A log that only its application knows
// how to write is that application's to create, and checked only.
func (l *Log) Init(ctx context.Context, db Starter) error {
	if err := l.checkPrimary(ctx, db); err != nil {
		return err
	}
	if l.Appendable() != nil || l.table.TimeZone != "" {
		return l.Check(ctx, db)
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(initLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, l.definition())
		return err
	})
	if err != nil {
		return fmt.Errorf("create the log %s: %w", l.sql.relation, err)
	}
	return l.Check(ctx, db)
}

func (l *Log) definition() string {
	t := l.table
	version := ""
	if t.Version != "" {
		version = quote(t.Version) + " smallint NOT NULL DEFAULT 1,"
	}
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
		%s bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		%s uuid NOT NULL UNIQUE,
		%s text NOT NULL,
		%s
		%s jsonb NOT NULL,
		%s timestamptz NOT NULL DEFAULT clock_timestamp())`,
		l.sql.relation, quote(t.Position), quote(t.ID), quote(t.EventName), version, quote(t.Payload), quote(t.RecordedAt))
}
