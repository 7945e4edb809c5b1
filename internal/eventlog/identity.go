package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Identity tells one history of a source from another. When it differs from
// what a checkpoint remembers, the log may have lost or replaced events: a
// restored backup, a promoted standby, a crash.
type Identity struct {
	// System is the server's identifier, made when its data was.
	System   string    `json:"system"`
	Timeline int64     `json:"timeline"`
	Database string    `json:"database"`
	Started  time.Time `json:"started"`
}

// Identity reads who the source is.
func (l *Log) Identity(ctx context.Context, db DB) (Identity, error) {
	var id Identity
	err := db.QueryRow(ctx, `SELECT (SELECT system_identifier::text FROM pg_control_system()),
		(SELECT timeline_id FROM pg_control_checkpoint()), current_database()::text, pg_postmaster_start_time()`).
		Scan(&id.System, &id.Timeline, &id.Database, &id.Started)
	if err != nil {
		return Identity{}, fmt.Errorf("read the identity of the source: %w", err)
	}
	id.Started = id.Started.UTC()
	return id, nil
}

// Mark is one event that a checkpoint remembers.
type Mark struct {
	Position int64     `json:"position"`
	ID       uuid.UUID `json:"id"`
}

// Compare checks the last events a checkpoint remembers against the log, both
// ways: each of them must be there with the same id, and the log must hold
// nothing else between the first and the last of them. It returns a
// [*DivergedError] where they differ.
func (l *Log) Compare(ctx context.Context, db DB, tail []Mark) error {
	if len(tail) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, l.sql.marks, tail[0].Position, tail[len(tail)-1].Position, len(tail)+1)
	if err != nil {
		return fmt.Errorf("read the tail of the log: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Mark])
	if err != nil {
		return fmt.Errorf("read the tail of the log: %w", err)
	}
	return diverged(tail, found)
}

// diverged walks both lists in step.
func diverged(tail, found []Mark) error {
	for i, want := range tail {
		switch {
		case i >= len(found) || found[i].Position > want.Position:
			return &DivergedError{Position: want.Position, Reason: "the log no longer has event " + want.ID.String()}
		case found[i].Position < want.Position:
			return &DivergedError{Position: found[i].Position, Reason: "the log has an event that was never applied"}
		case found[i].ID != want.ID:
			return &DivergedError{Position: want.Position, Reason: "the log has another event than " + want.ID.String()}
		}
	}
	return nil
}
