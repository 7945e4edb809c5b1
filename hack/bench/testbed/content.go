package testbed

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// SameContent holds a database against another in all tables, as the product
// itself sums them up.
func (s *Server) SameContent(ctx context.Context, want, got string) error {
	expected, err := s.contentHash(ctx, want)
	if err != nil {
		return err
	}
	found, err := s.contentHash(ctx, got)
	if err != nil {
		return err
	}
	return differences(expected.Tables, found.Tables)
}

func (s *Server) contentHash(ctx context.Context, database string) (projection.Hash, error) {
	var hash projection.Hash
	err := s.On(ctx, database, func(conn *pgx.Conn) error {
		var err error
		hash, err = projection.ContentHash(ctx, conn)
		return err
	})
	return hash, err
}

// libraryColumns are what a builder has to get right that draws ids of its own
// and does not count races.
var libraryColumns = map[string]string{
	"reciters":         "id, name, slug, description, avatar, revision, created_at, updated_at",
	"albums":           "id, reciter_id, title, year, artwork, revision, created_at, updated_at",
	"tombstones":       "id, deleted_at",
	"revisions":        "entity, version, content::jsonb, created_at",
	"projected_events": "event_id, projector",
}

// SameLibrary holds a database against another in what both must make of the
// events: everything but ids that nothing refers to, the count of races, the
// bookkeeping of a projector, and how JSON is spaced.
func (s *Server) SameLibrary(ctx context.Context, want, got string) error {
	expected, err := s.librarySums(ctx, want)
	if err != nil {
		return err
	}
	found, err := s.librarySums(ctx, got)
	if err != nil {
		return err
	}
	return differences(expected, found)
}

func (s *Server) librarySums(ctx context.Context, database string) (map[string]string, error) {
	sums := map[string]string{}
	err := s.On(ctx, database, func(conn *pgx.Conn) error {
		for table, columns := range libraryColumns {
			var sum string
			err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW(%s)::text, 0)::numeric), 0) FROM %s",
				columns, table)).Scan(&sum)
			if err != nil {
				return fmt.Errorf("sum up table %s of %s: %w", table, database, err)
			}
			sums[table] = sum
		}
		return nil
	})
	return sums, err
}

func differences(want, got map[string]string) error {
	var err error
	for table, sum := range want {
		if got[table] != sum {
			err = errors.Join(err, fmt.Errorf("table %s differs from a replay's: %s, not %s", table, got[table], sum))
		}
	}
	return err
}

// Execute runs statements in a database.
func (s *Server) Execute(ctx context.Context, database string, statements ...string) error {
	return s.On(ctx, database, func(conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%.100s: %w", statement, err)
			}
		}
		return nil
	})
}
