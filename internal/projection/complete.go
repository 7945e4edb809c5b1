package projection

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// finishers is how many tables are finished at a time.
const finishers = 2

// undisturbed keeps autovacuum away until the tables are finished. It would read
// again and again what is still growing, and there is nothing for it to do: what
// is written stays, or makes room for itself.
func (s *session) undisturbed(ctx context.Context) error {
	tables, _ := s.unfinished()
	for _, table := range tables {
		if _, err := s.database.Exec(ctx, "ALTER TABLE "+pgx.Identifier{table}.Sanitize()+" SET (autovacuum_enabled = off)"); err != nil {
			return fmt.Errorf("keep autovacuum away from %s: %w", table, err)
		}
	}
	return nil
}

// complete makes the indexes of readers and declares the database complete.
func (s *session) complete(ctx context.Context) error {
	if err := s.alive(ctx, s.finishTables); err != nil {
		return err
	}
	next := s.checkpoint
	next.Stage = StageComplete
	return s.mark(ctx, next)
}

// finishTables works in sessions of its own, as the one with the lock must go
// on showing that it lives. A run that was taken over may still be at it; the
// table's lock makes the other wait, and it then finds the index there.
func (s *session) finishTables(ctx context.Context) error {
	tables, indexes := s.unfinished()
	queue := make(chan string, len(tables))
	for _, table := range tables {
		queue <- table
	}
	close(queue)
	group, ctx := errgroup.WithContext(ctx)
	for range finishers {
		group.Go(func() error {
			conn, err := s.dial(ctx, "the version's database", s.Database,
				map[string]string{"maintenance_work_mem": "128MB", "lock_timeout": "0"})
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			for table := range queue {
				if err := finishTable(ctx, conn, table, indexes[table]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// unfinished are the tables with their indexes, those with the most first.
func (s *session) unfinished() ([]string, map[string][]Index) {
	model := s.NewModel()
	indexes := map[string][]Index{}
	for _, index := range model.Indexes {
		indexes[index.Table] = append(indexes[index.Table], index)
	}
	tables := []string{"projected_events", "skipped_events"}
	for _, t := range model.Tables {
		tables = append(tables, t.title())
	}
	slices.SortStableFunc(tables, func(x, y string) int { return len(indexes[y]) - len(indexes[x]) })
	return tables, indexes
}

func finishTable(ctx context.Context, conn *pgx.Conn, table string, indexes []Index) error {
	for _, index := range indexes {
		if err := makeIndex(ctx, conn, index); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, "ALTER TABLE "+pgx.Identifier{table}.Sanitize()+" RESET (autovacuum_enabled)"); err != nil {
		return fmt.Errorf("let autovacuum at %s again: %w", table, err)
	}
	if _, err := conn.Exec(ctx, "ANALYZE "+pgx.Identifier{table}.Sanitize()); err != nil {
		return fmt.Errorf("gather statistics of %s: %w", table, err)
	}
	return nil
}

// makeIndex makes an index unless an earlier run has.
func makeIndex(ctx context.Context, conn *pgx.Conn, index Index) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE "+pgx.Identifier{index.Table}.Sanitize()+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return fmt.Errorf("lock %s for index %s: %w", index.Table, index.Name, err)
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", pgx.Identifier{index.Name}.Sanitize()).Scan(&there); err != nil {
			return fmt.Errorf("look for index %s: %w", index.Name, err)
		}
		if there {
			return nil
		}
		if _, err := tx.Exec(ctx, index.SQL); err != nil {
			return fmt.Errorf("make index %s: %w", index.Name, err)
		}
		return nil
	})
}
