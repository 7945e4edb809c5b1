package verify

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// checkCheckpoint: the database is built to the end, and what its checkpoint
// remembers is the log's.
func checkCheckpoint(ctx context.Context, in *inspection) (Check, error) {
	c := in.checkpoint
	if c.Stage != projection.StageComplete {
		return fail(c.Position, "position", 1, nil, "the database is not built to the end: its stage is %s", c.Stage), nil
	}
	if c.Target != nil && c.Position < *c.Target {
		return fail(c.Position, "position", 1, nil, "the checkpoint is below the end of its replay, position %d", *c.Target), nil
	}
	if c.Position > 0 && (len(c.Tail) == 0 || c.Tail[len(c.Tail)-1].Position != c.Position) {
		return fail(c.Position, "position", 1, nil, "the events that the checkpoint remembers do not end at its position"), nil
	}
	var diverged *eventlog.DivergedError
	err := in.Log.Compare(ctx, in.source, c.Tail)
	if errors.As(err, &diverged) {
		return fail(c.Position, "position", 1, nil, "%s", diverged.Error()), nil
	}
	if err != nil {
		return Check{}, err
	}
	return in.checkEnd(ctx)
}

// checkEnd: the checkpoint is the position of an event, and the database has
// seen that one; a database at 0 belongs to a log without events.
func (in *inspection) checkEnd(ctx context.Context) (Check, error) {
	c := in.checkpoint
	if c.Position == 0 {
		return pass(0, "position"), nil
	}
	var last uuid.UUID
	err := in.source.QueryRow(ctx, "SELECT e.id FROM "+in.events()+" e WHERE e.position = $1", c.Position).Scan(&last)
	if errors.Is(err, pgx.ErrNoRows) {
		return fail(c.Position, "position", 1, nil, "the log has no event at the checkpoint's position"), nil
	}
	return pass(c.Position, "position"), err
}

// checkSchema: the edition's migrations, and no others, were applied.
func checkSchema(ctx context.Context, in *inspection) (Check, error) {
	var applied int32
	if err := in.database.QueryRow(ctx, "SELECT version FROM public.schema_version").Scan(&applied); err != nil {
		return Check{}, err
	}
	if applied != in.Edition.Migrations {
		return fail(int64(applied), "migrations", 1, nil, "edition %s has %d migrations", in.Edition.Version, in.Edition.Migrations), nil
	}
	return pass(int64(applied), "migrations"), nil
}

// checkIndexes: the indexes of readers are there, and every index is valid.
func checkIndexes(ctx context.Context, in *inspection) (Check, error) {
	rows, err := in.database.Query(ctx, `SELECT c.relname::text, i.indisvalid AND i.indisready FROM pg_index i
		JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace`)
	if err != nil {
		return Check{}, err
	}
	usable := map[string]bool{}
	var faults []string
	var name string
	var valid bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &valid}, func() error {
		usable[name] = true
		if !valid {
			faults = append(faults, name+" is not valid")
		}
		return nil
	}); err != nil {
		return Check{}, err
	}
	for _, index := range in.model.Indexes {
		if !usable[index.Name] {
			faults = append(faults, index.Name+" is missing")
		}
	}
	if len(faults) > 0 {
		return fail(int64(len(usable)), "indexes", int64(len(faults)), first(faults), "%d indexes are missing or not valid", len(faults)), nil
	}
	return pass(int64(len(usable)), "indexes"), nil
}

// worthStatistics is the size from which a table without statistics has readers
// wait for plans that were made for an empty one, in bytes.
const worthStatistics = 1 << 20

// fewReplayed is a replay that may have left tables empty, and so without
// statistics: what its follower has filled is autovacuum's to look at.
const fewReplayed = 1000

// checkStatistics: the planner knows something of every table that is not small.
func checkStatistics(ctx context.Context, in *inspection) (Check, error) {
	rows, err := in.database.Query(ctx, `SELECT c.relname::text, pg_relation_size(c.oid) < $1 OR EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'public' AND s.tablename = c.relname)
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1`, worthStatistics)
	if err != nil {
		return Check{}, err
	}
	var tables int64
	var without []string
	var name string
	var known bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &known}, func() error {
		tables++
		if !known {
			without = append(without, name)
		}
		return nil
	}); err != nil {
		return Check{}, err
	}
	if len(without) > 0 {
		check := fail(tables, "tables", int64(len(without)), first(without), "%d tables have no statistics; run ANALYZE", len(without))
		check.Advisory = in.checkpoint.Target == nil || *in.checkpoint.Target < fewReplayed
		return check, nil
	}
	return pass(tables, "tables"), nil
}
