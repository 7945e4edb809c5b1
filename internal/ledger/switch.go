package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Switch makes the version live and the one that was live warm, in one
// transaction. Whoever reads the ledger afterwards points the Services there.
// A version that is live already stays so; one that is being removed, or gone,
// is an error and whatever is live stays live.
func (l *Ledger) Switch(ctx context.Context, to *Version) error {
	return l.Guard(ctx, func(tx pgx.Tx) error { return l.SwitchIn(ctx, tx, to) })
}

// SwitchIn is Switch as a part of a transaction that [Ledger.Guard] began.
func (l *Ledger) SwitchIn(ctx context.Context, tx pgx.Tx, to *Version) error {
	return wrap(l.switchIn(ctx, tx, to), "record the switch to", to)
}

func (l *Ledger) switchIn(ctx context.Context, tx pgx.Tx, to *Version) error {
	var role Role
	said := switched{}
	err := tx.QueryRow(ctx, `SELECT v.role, v.mark, coalesce(c.position, 0) FROM nawhas_ledger.versions v LEFT JOIN nawhas_ledger.checkpoints c ON c.role = v.owner_role
		WHERE v.release = $1 AND v.version = $2 FOR UPDATE OF v`, to.Release, to.Version).Scan(&role, &said.Watermark, &said.Checkpoint)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errors.New("it is not there")
	case err != nil || role == Live:
		return err
	case role == Retiring:
		return errors.New("it is being removed")
	}
	if said.From, err = demote(ctx, tx, to); err != nil {
		return err
	}
	// What it passed when it was live before says nothing of this time.
	_, err = tx.Exec(ctx, `DELETE FROM nawhas_ledger.stages WHERE release = $1 AND version = $2 AND name = ANY($3) AND finished_at IS NOT NULL`, to.Release, to.Version, toPassWhenLive)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE nawhas_ledger.versions SET role = 'Live', live_since = clock_timestamp(), warm_since = NULL, mark = NULL, marked_at = NULL,
		held = NULL, not_before = NULL WHERE release = $1 AND version = $2`, to.Release, to.Version)
	if err != nil {
		return err
	}
	return l.journal(ctx, tx, to, "Live", said)
}

// switched is the evidence of a switch.
type switched struct {
	// From is the version that was live, empty for the first one.
	From       string `json:"from,omitempty"`
	Watermark  *int64 `json:"watermark,omitempty"`
	Checkpoint int64  `json:"checkpoint"`
}

// demote makes what is live warm, and has every other version pass again what
// it has to pass before it can come back.
func demote(ctx context.Context, tx pgx.Tx, to *Version) (from string, err error) {
	err = tx.QueryRow(ctx, `UPDATE nawhas_ledger.versions SET role = 'Warm', warm_since = clock_timestamp(), drains = drains + 1
		WHERE release = $1 AND role = 'Live' AND version <> $2 RETURNING version`, to.Release, to.Version).Scan(&from)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	_, err = tx.Exec(ctx, `DELETE FROM nawhas_ledger.stages WHERE release = $1 AND version <> $2 AND name = ANY($3)`, to.Release, to.Version, toPassAgain)
	return from, err
}

// PositionIn is how far the version's database is, as its follower reported
// last, read anew by each call.
func (l *Ledger) PositionIn(ctx context.Context, tx pgx.Tx, v *Version) (int64, error) {
	var position int64
	err := tx.QueryRow(ctx, `SELECT position FROM nawhas_ledger.checkpoints WHERE role = $1`, v.OwnerRole).Scan(&position)
	return position, wrap(err, "read the checkpoint of", v)
}
