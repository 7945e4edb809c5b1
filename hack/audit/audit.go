// Package audit compares a version's database with the log in plain SQL. It
// shares no code with the engine that built the database, and does not even
// import it: what both get wrong together would otherwise go unnoticed.
//
// It reads only; what it works out is in temporary tables of its own session.
package audit

import (
	"context"
	_ "embed"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

//go:embed audit.sql
var expectations string

//go:embed findings.sql
var findings string

// Findings are the numbers of one audit.
type Findings struct {
	// Events is how many events of the log the database says that it holds.
	Events int64
	// Reciters and Albums are how many the database has.
	Reciters, Albums int64
	// Behind is how many events are in the log above the database's checkpoint.
	Behind int64
	// Lost are effects of events that are not in the database.
	Lost int64
	// Duplicated are effects in the database that the log does not explain.
	Duplicated int64
	// Reordered are revisions that are not in the order of the log.
	Reordered int64
	// Wrong are attributes that do not have the last value the log gave them,
	// revisions that do not hold what there was after their change, and entities
	// that are not as their last revision says.
	Wrong int64
}

// Clean reports whether nothing was found.
func (f Findings) Clean() bool { return f.Lost+f.Duplicated+f.Reordered+f.Wrong == 0 }

// Run audits the version's database against the log; both connection strings
// must be allowed to read everything. The log is read after the database's
// snapshot was taken, so that it has every event that the database has.
func Run(ctx context.Context, sourceURL, databaseURL string) (Findings, error) {
	var f Findings
	source, err := pgx.Connect(ctx, sourceURL)
	if err != nil {
		return f, fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	database, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return f, fmt.Errorf("connect to the version's database: %w", err)
	}
	defer func() { _ = database.Close(context.WithoutCancel(ctx)) }()

	tx, err := database.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return f, fmt.Errorf("open a snapshot of the version's database: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var checkpoint int64
	if err := tx.QueryRow(ctx, "SELECT position FROM checkpoint").Scan(&checkpoint); err != nil {
		return f, fmt.Errorf("read the checkpoint: %w", err)
	}
	if err := copyLog(ctx, source, tx, checkpoint); err != nil {
		return f, err
	}
	if err := source.QueryRow(ctx, "SELECT count(*) FROM events WHERE position > $1", checkpoint).Scan(&f.Behind); err != nil {
		return f, fmt.Errorf("count the events above the checkpoint: %w", err)
	}
	if _, err := tx.Exec(ctx, expectations); err != nil {
		return f, fmt.Errorf("work out what the database should hold: %w", err)
	}
	err = tx.QueryRow(ctx, findings).Scan(&f.Events, &f.Reciters, &f.Albums, &f.Lost, &f.Duplicated, &f.Reordered, &f.Wrong)
	if err != nil {
		return f, fmt.Errorf("compare the database with the log: %w", err)
	}
	return f, nil
}

// copyLog streams the events up to the checkpoint into a temporary table
// beside the projections, because Postgres joins within one database only.
func copyLog(ctx context.Context, source *pgx.Conn, tx pgx.Tx, checkpoint int64) error {
	_, err := tx.Exec(ctx, "CREATE TEMP TABLE log (position bigint, id uuid, name text, payload jsonb, recorded_at timestamptz)")
	if err != nil {
		return fmt.Errorf("make room for the log: %w", err)
	}
	reader, writer := io.Pipe()
	go func() {
		_, err := source.PgConn().CopyTo(ctx, writer, fmt.Sprintf(
			"COPY (SELECT position, id, name, payload, recorded_at FROM events WHERE position <= %d) TO STDOUT", checkpoint))
		writer.CloseWithError(err)
	}()
	_, err = tx.Conn().PgConn().CopyFrom(ctx, reader, "COPY log FROM STDIN")
	_ = reader.CloseWithError(err)
	if err != nil {
		return fmt.Errorf("copy the log: %w", err)
	}
	return nil
}
