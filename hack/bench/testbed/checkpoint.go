package testbed

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

const (
	// look is between two looks at a database.
	look = 5 * time.Millisecond
	// patience is how long something may take that should not take long.
	patience = 5 * time.Minute
)

// AwaitPosition waits until a version's database has reached a position, and
// returns where it is then.
func (s *Server) AwaitPosition(ctx context.Context, database string, position int64) (int64, error) {
	var at int64
	err := s.until(ctx, database, fmt.Sprintf("%s to reach position %d", database, position), func(conn *pgx.Conn) (bool, error) {
		checkpoint, err := projection.ReadCheckpoint(ctx, conn)
		at = checkpoint.Position
		return at >= position, err
	})
	return at, err
}

// AwaitNobody waits until the sessions of a killed applier are gone, and
// returns the position that they have left.
func (s *Server) AwaitNobody(ctx context.Context, database string) (int64, error) {
	var at int64
	err := s.until(ctx, database, "the sessions in "+database+" to end", func(conn *pgx.Conn) (bool, error) {
		var sessions int
		err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'nawhas%'").Scan(&sessions)
		if err != nil || sessions > 0 {
			return false, err
		}
		checkpoint, err := projection.ReadCheckpoint(ctx, conn)
		at = checkpoint.Position
		return true, err
	})
	return at, err
}

func (s *Server) until(ctx context.Context, database, what string, done func(*pgx.Conn) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.On(ctx, database, func(conn *pgx.Conn) error {
		for {
			reached, err := done(conn)
			if err != nil {
				return fmt.Errorf("wait for %s: %w", what, err)
			}
			if reached {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w", what, ctx.Err())
			case <-time.After(look):
			}
		}
	})
}
