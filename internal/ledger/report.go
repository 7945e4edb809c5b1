package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Session is a connection or a pool of the source, as the version's owner-side
// role.
type Session interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Reporter writes what a version's own processes have to say into its row.
// Row level security finds the row: it is the one of the connection's role.
type Reporter struct {
	db Session
}

// NewReporter reports over a connection to the source.
func NewReporter(db Session) *Reporter { return &Reporter{db: db} }

// Progress is how far a replay or a follower is.
type Progress struct {
	Stage            string
	Position, Target int64
	// Rate is in events per second.
	Rate    float64
	Problem *Problem
}

// Report writes progress. A source without a ledger, or without a row for this
// role, is no error: commands are run by hand too.
func (r *Reporter) Report(ctx context.Context, p Progress) error {
	_, err := r.db.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET stage = $1, position = $2, target = $3, rate = $4, problem = $5, reported_at = clock_timestamp()
		WHERE role = current_user`, p.Stage, p.Position, p.Target, p.Rate, p.Problem)
	return ignoreAbsent(err)
}

// Problem writes why the version's process cannot go on, and leaves its progress
// as it is. The next Report takes it back.
func (r *Reporter) Problem(ctx context.Context, p Problem) error {
	_, err := r.db.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET problem = $1, reported_at = clock_timestamp() WHERE role = current_user`, p)
	return ignoreAbsent(err)
}

// Evidence writes what a verification found. An audit goes by the verification
// before it, and is forgotten.
func (r *Reporter) Evidence(ctx context.Context, evidence json.RawMessage) error {
	_, err := r.db.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET evidence = $1, reported_at = clock_timestamp() WHERE role = current_user`, evidence)
	if err := ignoreAbsent(err); err != nil {
		return err
	}
	_, err = r.db.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET audit = NULL WHERE role = current_user AND audit IS NOT NULL`)
	return ignoreAbsent(err)
}

// Audit writes what the audit of the events after a verification found, unless
// another verification has been recorded since, or the evidence was forgotten.
func (r *Reporter) Audit(ctx context.Context, audit, evidence json.RawMessage) error {
	_, err := r.db.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET audit = $1 WHERE role = current_user AND evidence = $2::jsonb`, audit, evidence)
	return ignoreAbsent(err)
}

// Proofs reads what the last verification found, and the audit of what came
// after it; each is nil if there was none or there is no ledger for it.
func (r *Reporter) Proofs(ctx context.Context) (evidence, audit json.RawMessage, err error) {
	err = r.db.QueryRow(ctx, `SELECT evidence, audit FROM nawhas_ledger.checkpoints WHERE role = current_user`).Scan(&evidence, &audit)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, nil
	}
	return evidence, audit, ignoreAbsent(err)
}

func ignoreAbsent(err error) error {
	// A column may be missing in the ledger of an older operator.
	const undefinedTable, undefinedSchema, undefinedColumn, insufficientPrivilege = "42P01", "3F000", "42703", "42501"
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case undefinedTable, undefinedSchema, undefinedColumn, insufficientPrivilege:
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("report to the ledger: %w", err)
	}
	return nil
}

// AllowReporting lets an owner-side role report into its row.
func (l *Ledger) AllowReporting(ctx context.Context, role string) error {
	name := pgx.Identifier{role}.Sanitize()
	err := l.ChangeRights(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "GRANT USAGE ON SCHEMA nawhas_ledger TO "+name)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "GRANT SELECT (role, evidence, audit), UPDATE (stage, position, target, rate, problem, evidence, audit, reported_at) ON nawhas_ledger.checkpoints TO "+name)
		return err
	})
	if err != nil {
		return fmt.Errorf("let %s report to the ledger: %w", role, err)
	}
	return nil
}
