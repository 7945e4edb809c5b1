package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// StageSelf is the stage of a checkpoint while the version's application
// projects its own events: the database is where the log is.
const StageSelf = "self"

// keptRounds is how many rounds of a version are remembered.
const keptRounds = 10

// Round is one application of a part of the log to a version's database.
type Round struct {
	Number int32 `json:"number"`
	// The round applies what lies after From, up to and with Until.
	From  int64 `json:"from_position"`
	Until int64 `json:"until_position"`
	// Tables are those of the database as they were before.
	Tables map[string]RoundTable `json:"tables"`
	// Job is the UID of the Job that may have begun to apply it, empty before.
	Job        string     `json:"job"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	// Events is how many there were, once it is finished.
	Events *int64 `json:"events"`
}

// RoundTable is what matters of a table before a round.
type RoundTable struct {
	// File is another one after a TRUNCATE.
	File   uint32 `json:"file"`
	Filled bool   `json:"filled"`
}

// Took is how long a finished round lasted.
func (r Round) Took() time.Duration {
	if r.FinishedAt == nil {
		return 0
	}
	return r.FinishedAt.Sub(r.StartedAt)
}

// LastRound is the newest round, nil before the first.
func (v *Version) LastRound() *Round {
	if len(v.Rounds) == 0 {
		return nil
	}
	return &v.Rounds[0]
}

// ErrRoundOutOfPlace says that a round does not follow the one before it.
var ErrRoundOutOfPlace = errors.New("the round does not begin where the database is")

// BeginRound records the intent to apply a part of the log, before its window is
// made. It must begin where the database is, and the round before it must be
// finished.
func (l *Ledger) BeginRound(ctx context.Context, v *Version, r Round) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET target = $3 WHERE role = $1 AND position = $2 AND problem IS NULL AND NOT EXISTS (
			SELECT FROM nawhas_ledger.rounds WHERE release = $4 AND version = $5 AND (finished_at IS NULL OR number >= $6))`,
			v.OwnerRole, r.From, r.Until, v.Release, v.Version, r.Number)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrRoundOutOfPlace
		}
		_, err = tx.Exec(ctx, `INSERT INTO nawhas_ledger.rounds (release, version, number, from_position, until_position, tables) VALUES ($1, $2, $3, $4, $5, coalesce($6::jsonb, '{}'))`,
			v.Release, v.Version, r.Number, r.From, r.Until, r.Tables)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM nawhas_ledger.rounds WHERE release = $1 AND version = $2 AND number <= $3`, v.Release, v.Version, r.Number-keptRounds)
		return err
	})
	return wrap(err, "record the beginning of a round of", v)
}

// StartRound records which Job applies a round, before it may run: no other one
// will do from then on.
func (l *Ledger) StartRound(ctx context.Context, v *Version, number int32, job string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.rounds SET job = $4 WHERE release = $1 AND version = $2 AND number = $3 AND finished_at IS NULL AND job IN ('', $4)`,
			v.Release, v.Version, number, job)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrRoundOutOfPlace
		}
		return err
	})
	return wrap(err, "record the Job of a round of", v)
}

// FinishRound records that a round is done and moves the checkpoint to its end,
// in one transaction. stage is that of the checkpoint.
func (l *Ledger) FinishRound(ctx context.Context, v *Version, number int32, events int64, stage string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		var from, until int64
		var seconds float64
		err := tx.QueryRow(ctx, `UPDATE nawhas_ledger.rounds SET finished_at = clock_timestamp(), events = $4
			WHERE release = $1 AND version = $2 AND number = $3 AND finished_at IS NULL
			RETURNING from_position, until_position, extract(epoch FROM clock_timestamp() - started_at)::float8`,
			v.Release, v.Version, number, events).Scan(&from, &until, &seconds)
		if err != nil {
			return err
		}
		rate := 0.0
		if seconds > 0 {
			rate = float64(events) / seconds
		}
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET stage = $4, position = $3, target = $3, rate = $5, problem = NULL, reported_at = clock_timestamp()
			WHERE role = $1 AND position = $2`, v.OwnerRole, from, until, stage, rate)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrRoundOutOfPlace
		}
		return err
	})
	return wrap(err, "record the end of a round of", v)
}

// CompleteRounds records that the database has been built, in rounds or, from an
// empty log, in none.
func (l *Ledger) CompleteRounds(ctx context.Context, v *Version, stage string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET stage = $2, reported_at = clock_timestamp() WHERE role = $1`, v.OwnerRole, stage)
		return err
	})
	return wrap(err, "record the end of the rounds of", v)
}

// FailRound records that a round failed, so that nobody knows what the database
// holds.
func (l *Ledger) FailRound(ctx context.Context, v *Version, number int32, message string) error {
	err := l.Guard(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints c SET problem = jsonb_build_object('kind', $4::text, 'position', r.from_position, 'message', $5::text), reported_at = clock_timestamp()
			FROM nawhas_ledger.rounds r WHERE c.role = $1 AND r.release = $2 AND r.version = $3 AND r.number = $6 AND r.finished_at IS NULL AND c.problem IS NULL`,
			v.OwnerRole, v.Release, v.Version, KindRound, message, number)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return l.journal(ctx, tx, v, "RoundFailed", map[string]any{"round": number, "message": message})
	})
	return wrap(err, "record the failure of a round of", v)
}

// RoundFailures counts how often a round of the version failed within a day,
// those of earlier builds included.
func (l *Ledger) RoundFailures(ctx context.Context, v *Version) (int, error) {
	var failures int
	err := l.pool.QueryRow(ctx, `SELECT count(*) FROM nawhas_ledger.journal WHERE release = $1 AND version = $2 AND transition = 'RoundFailed' AND at > clock_timestamp() - interval '1 day'`,
		v.Release, v.Version).Scan(&failures)
	return failures, wrap(err, "count the failed rounds of", v)
}

// SwitchSelfIn is [Ledger.SwitchIn] at a moment in which nobody can append, with
// the log at head: a version that projected its own events up to then has them
// all in its database, and the one that goes live does so from now on if self is
// true.
func (l *Ledger) SwitchSelfIn(ctx context.Context, tx pgx.Tx, to *Version, head int64, self bool) error {
	if err := l.SwitchIn(ctx, tx, to); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET stage = 'complete', position = $3, target = $3, reported_at = clock_timestamp()
		WHERE release = $1 AND version <> $2 AND stage = $4`, to.Release, to.Version, head, StageSelf)
	if err == nil && self {
		_, err = tx.Exec(ctx, `UPDATE nawhas_ledger.checkpoints SET stage = $3, position = $2, target = $2, reported_at = clock_timestamp() WHERE role = $1`, to.OwnerRole, head, StageSelf)
	}
	return wrap(err, "record the switch to", to)
}
