package testbed

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Copy brings the result of a query into a table of another database. Into
// names the table, with columns if it is not all of them.
func (s *Server) Copy(ctx context.Context, from, query, to, into string) error {
	reading, writing := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := s.On(ctx, from, func(conn *pgx.Conn) error {
			_, err := conn.PgConn().CopyTo(ctx, writing, "COPY ("+query+") TO STDOUT")
			return err
		})
		_ = writing.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := s.On(ctx, to, func(conn *pgx.Conn) error {
			_, err := conn.PgConn().CopyFrom(ctx, reading, "COPY "+into+" FROM STDIN")
			return err
		})
		_ = reading.CloseWithError(err)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copy from %s to %s of %s: %w", from, into, to, err)
	}
	return nil
}
