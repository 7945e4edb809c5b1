package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const uniqueViolation = "23505"

// toPassAgain are the stages that a version which lost its place has to pass
// again before it can come back.
var toPassAgain = []string{"CaughtUp", "Switched", "Fenced", "Observed"}

// toPassWhenLive are those that a version can pass only after it has become live.
var toPassWhenLive = []string{"Switched", "Fenced", "Observed"}

// TakenError says that another release of this ledger has the database's name.
type TakenError struct {
	Database, Release string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("database %q belongs to release %s; give this release another spec.databases.prefix", e.Database, e.Release)
}

// Begin records the intent to build a version, before anything is made. When
// the version is there already it is left as it is.
func (l *Ledger) Begin(ctx context.Context, v *Version) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO nawhas_ledger.versions (release, version, build, database, owner_role, app_role)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (release, version) DO NOTHING`,
			v.Release, v.Version, v.Build, v.Database, v.OwnerRole, v.AppRole)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO nawhas_ledger.checkpoints (role, release, version, build) VALUES ($1, $2, $3, $4)`,
			v.OwnerRole, v.Release, v.Version, v.Build)
		if err != nil {
			return err
		}
		return l.journal(ctx, tx, v, "Begun", nil)
	})
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == uniqueViolation {
		return l.taken(ctx, v, err)
	}
	return wrap(err, "record the build of", v)
}

func (l *Ledger) taken(ctx context.Context, v *Version, cause error) error {
	var owner string
	err := l.pool.QueryRow(ctx, `SELECT release FROM nawhas_ledger.versions WHERE database = $1`, v.Database).Scan(&owner)
	if err != nil {
		return wrap(cause, "record the build of", v)
	}
	return &TakenError{Database: v.Database, Release: owner}
}

// StartStage records that a stage began, once.
func (l *Ledger) StartStage(ctx context.Context, v *Version, stage string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO nawhas_ledger.stages (release, version, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			v.Release, v.Version, stage)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, stage+"Started", nil)
	})
	return wrap(err, "record the start of "+stage+" of", v)
}

// PassStage records that a stage was passed, and why that is believed.
func (l *Ledger) PassStage(ctx context.Context, v *Version, stage string, evidence any) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO nawhas_ledger.stages AS s (release, version, name, finished_at, evidence) VALUES ($1, $2, $3, clock_timestamp(), $4)
			ON CONFLICT (release, version, name) DO UPDATE SET finished_at = excluded.finished_at, evidence = excluded.evidence WHERE s.finished_at IS NULL`,
			v.Release, v.Version, stage, evidence)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, stage, evidence)
	})
	return wrap(err, "record "+stage+" of", v)
}

// ReopenStage forgets that a stage was passed, because it has to be passed again.
func (l *Ledger) ReopenStage(ctx context.Context, v *Version, stage string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM nawhas_ledger.stages WHERE release = $1 AND version = $2 AND name = $3`, v.Release, v.Version, stage)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, stage+"Reopened", nil)
	})
	return wrap(err, "reopen "+stage+" of", v)
}

// ForgetEvidence drops what an earlier verification reported, and the audit
// after it, before another one begins, so that nobody takes it for the new one's.
func (l *Ledger) ForgetEvidence(ctx context.Context, v *Version) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET evidence = NULL, audit = NULL WHERE role = $1 AND (evidence IS NOT NULL OR audit IS NOT NULL)`, v.OwnerRole)
		return err
	})
	return wrap(err, "forget the evidence of", v)
}

// PinImage records the image that builds the version.
func (l *Ledger) PinImage(ctx context.Context, v *Version, image string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET image = $3 WHERE release = $1 AND version = $2 AND image <> $3`, v.Release, v.Version, image)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "ImagePinned", map[string]any{"image": image})
	})
	return wrap(err, "pin the image of", v)
}

// Mark records the watermark that the version's database must reach before the
// switch.
func (l *Ledger) Mark(ctx context.Context, v *Version, watermark int64) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET mark = $3, marked_at = clock_timestamp() WHERE release = $1 AND version = $2`, v.Release, v.Version, watermark)
		if err != nil {
			return err
		}
		return l.journal(ctx, tx, v, "Marked", map[string]any{"watermark": watermark})
	})
	return wrap(err, "record the watermark of", v)
}

// Retire records that the version is to be removed. A live version is never
// retired this way.
func (l *Ledger) Retire(ctx context.Context, v *Version) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET role = 'Retiring' WHERE release = $1 AND version = $2 AND role IN ('Candidate', 'Warm')`,
			v.Release, v.Version)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "Retiring", nil)
	})
	return wrap(err, "record the retirement of", v)
}

// RetireAll records that every version is to be removed, the live one too: the
// release is deleted and its databases with it.
func (l *Ledger) RetireAll(ctx context.Context) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `WITH gone AS (UPDATE nawhas_ledger.versions SET role = 'Retiring' WHERE release = $1 AND role <> 'Retiring' RETURNING *)
			INSERT INTO nawhas_ledger.journal (epoch, release, version, build, transition) SELECT $2, release, version, build, 'Retiring' FROM gone`, l.release, l.Epoch())
		return err
	})
	if err != nil {
		return fmt.Errorf("record the retirement of release %s: %w", l.release, err)
	}
	return nil
}

// Retired records that nothing of the version is left. Only its journal stays.
func (l *Ledger) Retired(ctx context.Context, v *Version) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM nawhas_ledger.versions WHERE release = $1 AND version = $2 AND role = 'Retiring'`, v.Release, v.Version)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "Retired", nil)
	})
	return wrap(err, "record the removal of", v)
}

func (l *Ledger) journal(ctx context.Context, tx pgx.Tx, v *Version, transition string, evidence any) error {
	_, err := tx.Exec(ctx, `INSERT INTO nawhas_ledger.journal (epoch, release, version, build, transition, evidence) VALUES ($1, $2, $3, $4, $5, $6)`,
		l.Epoch(), v.Release, v.Version, v.Build, transition, evidence)
	return err
}

func wrap(err error, attempt string, v *Version) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s version %s of %s in the ledger: %w", attempt, v.Version, v.Release, err)
}
