package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Live is the live version's database, held in one snapshot while another
// database is brought to the same position and compared with it. The follower
// of the live version goes on meanwhile.
type Live struct {
	// Version is the live version; it is only named in the evidence.
	Version string
	// Database is the name of its database.
	Database string
	// Position is the checkpoint of the snapshot.
	Position int64

	tx pgx.Tx
}

// BehindError says that the live version's database did not reach the position
// of the database that should be compared with it.
type BehindError struct {
	Database       string
	Position, Want int64
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("the live version's database %s is at position %d and did not reach %d; look at its follower", e.Database, e.Position, e.Want)
}

// HoldLive takes a snapshot of the live version's database at or above a
// position. It looks again until there is one or the patience is at its end,
// which is a *BehindError. The connection is used up to Release.
func HoldLive(ctx context.Context, conn *pgx.Conn, version string, atLeast int64, patience time.Duration) (*Live, error) {
	for deadline := time.Now().Add(patience); ; {
		live, err := holdLive(ctx, conn, version)
		if err != nil || live.Position >= atLeast {
			return live, err
		}
		live.Release(ctx)
		if time.Now().After(deadline) {
			return nil, &BehindError{Database: live.Database, Position: live.Position, Want: atLeast}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func holdLive(ctx context.Context, conn *pgx.Conn, version string) (*Live, error) {
	tx, err := conn.BeginTx(ctx, snapshot)
	if err != nil {
		return nil, fmt.Errorf("hold the live version's database: %w", err)
	}
	live := &Live{Version: version, Database: conn.Config().Database, tx: tx}
	checkpoint, err := projection.Checkpoint{}, prepare(ctx, tx)
	if err == nil {
		checkpoint, err = projection.ReadCheckpoint(ctx, tx)
	}
	if err != nil {
		live.Release(ctx)
		return nil, fmt.Errorf("hold the live version's database %s: %w", live.Database, err)
	}
	live.Position = checkpoint.Position
	return live, nil
}

// Release ends the snapshot.
func (l *Live) Release(ctx context.Context) { _ = l.tx.Rollback(context.WithoutCancel(ctx)) }
