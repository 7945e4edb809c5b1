package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// Stage is how far the building of a version's database is.
type Stage string

// The stages, in their order. A follower works on a complete database only.
const (
	StageEmpty     Stage = "empty"
	StageReplaying Stage = "replaying"
	StageIndexing  Stage = "indexing"
	StageComplete  Stage = "complete"
)

// Checkpoint says which events a database holds: all up to Position, and no
// others.
type Checkpoint struct {
	Position int64
	Stage    Stage
	// Epoch counts the appliers that ever worked on the database.
	Epoch int64
	// Target is where the replay ends, nil before the first one.
	Target *int64
	// Tail are the last events applied, to recognise the log by.
	Tail []eventlog.Mark
	// Source is the log's server when the last applier began, nil before the first.
	Source    *eventlog.Identity
	UpdatedAt time.Time
}

// tailLength is how many events a checkpoint remembers.
const tailLength = 16

// Querier reads one row: a connection, a pool or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// ReadCheckpoint reads a version database's checkpoint. A database that was
// not migrated gives a [*StageError].
func ReadCheckpoint(ctx context.Context, db Querier) (Checkpoint, error) {
	c, err := scanCheckpoint(db.QueryRow(ctx, "SELECT "+checkpointColumns+" FROM checkpoint"))
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == undefinedTable {
		return Checkpoint{}, &StageError{Message: "this database has no tables yet; run `nawhas migrate` first"}
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the checkpoint: %w", err)
	}
	return c, nil
}

const checkpointColumns = "position, stage, epoch, target, tail, source, updated_at"

func scanCheckpoint(row pgx.Row) (Checkpoint, error) {
	var c Checkpoint
	err := row.Scan(&c.Position, &c.Stage, &c.Epoch, &c.Target, &c.Tail, &c.Source, &c.UpdatedAt)
	return c, err
}

// undefinedTable is the SQLSTATE of a missing table.
const undefinedTable = "42P01"
