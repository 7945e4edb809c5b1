package rivals

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
	"github.com/nawhas/nawhas-operator/internal/library"
)

//go:embed contents.sql
var contentsSQL string

//go:embed sql_log.sql
var logSQL string

//go:embed sql_library.sql
var librarySQL string

//go:embed sql_projected.sql
var projectedSQL string

// SQL builds the database with INSERT … SELECT alone, on two connections, keys
// and statistics last. The log must lie in the same database, where [PutLog]
// puts it. It builds the same library, but draws ids at random, does not count
// races, keeps no checkpoint and can neither be resumed nor show progress.
func SQL(ctx context.Context, server *testbed.Server, database string) (time.Duration, error) {
	edition, err := library.EditionOf(Edition)
	if err != nil {
		return 0, err
	}
	indexes := map[string][]string{}
	for _, index := range edition.Model().Indexes {
		indexes[index.Table] = append(indexes[index.Table], index.SQL)
	}
	if err := server.Settle(ctx); err != nil {
		return 0, err
	}
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return runSQL(ctx, server, database, append([]string{contentsSQL, logSQL, librarySQL, "ANALYZE albums", "ANALYZE tombstones"},
			finish(indexes, "revisions", "reciters")...)...)
	})
	group.Go(func() error {
		return runSQL(ctx, server, database, append([]string{projectedSQL}, finish(indexes, "projected_events")...)...)
	})
	err = group.Wait()
	return time.Since(started), err
}

// finish makes the indexes of tables and gathers their statistics.
func finish(indexes map[string][]string, tables ...string) []string {
	var statements []string
	for _, table := range tables {
		statements = append(append(statements, indexes[table]...), "ANALYZE "+table)
	}
	return statements
}

func runSQL(ctx context.Context, server *testbed.Server, database string, scripts ...string) error {
	return server.On(ctx, database, func(conn *pgx.Conn) error {
		for _, script := range scripts {
			if _, err := conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
				return fmt.Errorf("build the database in SQL (%.40s…): %w", script, err)
			}
		}
		return nil
	})
}

// PutLog copies the log into a migrated database, where SQL can reach it.
func PutLog(ctx context.Context, server *testbed.Server, source, database string) error {
	err := server.Execute(ctx, database, `CREATE TABLE events (position bigint PRIMARY KEY, id uuid NOT NULL, name text NOT NULL,
		version smallint NOT NULL, payload jsonb NOT NULL, recorded_at timestamptz NOT NULL)`)
	if err != nil {
		return err
	}
	if err := server.Copy(ctx, source, "SELECT position, id, name, version, payload, recorded_at FROM events ORDER BY position", database, "events"); err != nil {
		return err
	}
	return server.Execute(ctx, database, "VACUUM ANALYZE events")
}
