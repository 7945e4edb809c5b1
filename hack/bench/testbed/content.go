package testbed

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// ContentHash sums up a version's database as the product itself does.
func (s *Server) ContentHash(ctx context.Context, database string) (projection.Hash, error) {
	var hash projection.Hash
	err := s.On(ctx, database, func(conn *pgx.Conn) error {
		var err error
		hash, err = projection.ContentHash(ctx, conn)
		return err
	})
	return hash, err
}

func execute(ctx context.Context, statements ...string) func(*pgx.Conn) error {
	return func(conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}
}
