// Package rivals builds the same database as the product does, in other ways:
// what a replay is compared with. Each is written to be as quick as its kind
// can be, and says what it leaves out.
package rivals

import (
	"context"
	"fmt"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

// Dump writes a finished database to a file, as a backup would.
func Dump(ctx context.Context, server *testbed.Server, database, file string) error {
	_, err := testbed.Run(ctx, nil, server.Program("pg_dump"), "--format=custom", "--file="+file, "--dbname="+server.URL(database))
	if err != nil {
		return fmt.Errorf("dump the finished database: %w", err)
	}
	return nil
}

// Restore restores a dump to a new database on two connections and gathers
// statistics, on two as well.
func Restore(ctx context.Context, server *testbed.Server, file, database string) (time.Duration, error) {
	if err := server.Create(ctx, database); err != nil {
		return 0, err
	}
	if err := server.Settle(ctx); err != nil {
		return 0, err
	}
	target := "--dbname=" + server.URL(database)
	restored, err := testbed.Run(ctx, nil, server.Program("pg_restore"), "--jobs=2", "--exit-on-error", target, file)
	if err != nil {
		return 0, fmt.Errorf("restore the dump: %w", err)
	}
	analysed, err := testbed.Run(ctx, nil, server.Program("vacuumdb"), "--analyze-only", "--jobs=2", "--quiet", target)
	if err != nil {
		return 0, fmt.Errorf("gather statistics of the restored database: %w", err)
	}
	return restored.Elapsed + analysed.Elapsed, nil
}
