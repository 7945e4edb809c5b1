package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Held is why a version was sent back or given up, and until when it stays away.
type Held struct {
	At time.Time `json:"at"`
	// Reason is a word, Message a sentence for people.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Wanted is the version that the release asked for at that time, and Retry
	// the number of tries that it had asked for.
	Wanted string `json:"wanted"`
	Retry  int64  `json:"retry"`
	// ReturnTo is the version that takes over again, or that was live when this
	// one was given up; empty when none was.
	ReturnTo string `json:"returnTo"`
}

// Hold records that a live version is sent back: Held.ReturnTo shall be live
// again, and this version does not go live by itself any more. A version that
// is not live, or held already, is left as it is.
func (l *Ledger) Hold(ctx context.Context, v *Version, why Held) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET held = $3 WHERE release = $1 AND version = $2 AND role = 'Live' AND held IS NULL`,
			v.Release, v.Version, why)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "Held", why)
	})
	return wrap(err, "record the way back from", v)
}

// GiveUp records that a version which is not live is given up: it does not go
// live by itself any more. A version that is live, or held already, is left as
// it is.
func (l *Ledger) GiveUp(ctx context.Context, v *Version, why Held) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET held = $3 WHERE release = $1 AND version = $2 AND role IN ('Candidate', 'Warm') AND held IS NULL`,
			v.Release, v.Version, why)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		// Its pods are ended, so that it has to show again that it is ready.
		if _, err := tx.Exec(ctx, `DELETE FROM nawhas_ledger.stages WHERE release = $1 AND version = $2 AND name = ANY($3)`, v.Release, v.Version, toPassAgain); err != nil {
			return err
		}
		return l.journal(ctx, tx, v, "GivenUp", why)
	})
	return wrap(err, "give up", v)
}

// LiftHold records that a held version may go live again.
func (l *Ledger) LiftHold(ctx context.Context, v *Version) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET held = NULL WHERE release = $1 AND version = $2 AND held IS NOT NULL`, v.Release, v.Version)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "HoldLifted", nil)
	})
	return wrap(err, "lift the hold of", v)
}

// Postpone records that the switch to the version is not tried before a time,
// and why.
func (l *Ledger) Postpone(ctx context.Context, v *Version, until time.Time, why string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET not_before = $3 WHERE release = $1 AND version = $2`, v.Release, v.Version, until)
		if err != nil {
			return err
		}
		return l.journal(ctx, tx, v, "Postponed", map[string]any{"until": until, "because": why})
	})
	return wrap(err, "put off the switch to", v)
}

// KeepPlan records what the version runs, unless it is recorded with that
// digest already.
func (l *Ledger) KeepPlan(ctx context.Context, v *Version, digest string, plan []byte) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET plan = $4, plan_digest = $3 WHERE release = $1 AND version = $2 AND plan_digest <> $3`,
			v.Release, v.Version, digest, string(plan))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "Planned", map[string]any{"digest": digest})
	})
	return wrap(err, "record the plan of", v)
}

// Plan is what the version runs, nil when that was never recorded.
func (l *Ledger) Plan(ctx context.Context, v *Version) ([]byte, error) {
	var plan []byte
	err := l.pool.QueryRow(ctx, `SELECT plan FROM nawhas_ledger.versions WHERE release = $1 AND version = $2`, v.Release, v.Version).Scan(&plan)
	if err != nil {
		return nil, fmt.Errorf("read the plan of version %s of %s in the ledger: %w", v.Version, v.Release, err)
	}
	return plan, nil
}

// Neighbours are the app roles of the other releases that share this ledger,
// and so its log.
func (l *Ledger) Neighbours(ctx context.Context) ([]string, error) {
	rows, err := l.pool.Query(ctx, `SELECT app_role FROM nawhas_ledger.versions WHERE release <> $1 ORDER BY 1`, l.release)
	if err != nil {
		return nil, fmt.Errorf("read the other releases of the ledger: %w", err)
	}
	roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the other releases of the ledger: %w", err)
	}
	return roles, nil
}
