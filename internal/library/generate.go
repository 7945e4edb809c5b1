package library

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// generateChunk is how many events one COPY of the generator writes.
const generateChunk = 20_000

// Generate appends n events of an invented but realistic library to the log:
// edits, uploads, deletions, races, names in several scripts, and at least one
// new entity in five events. The same seed makes the same events in the same
// order; their times are the database's. Progress, which may be nil, hears how
// many were written.
func Generate(ctx context.Context, conn *pgx.Conn, log *eventlog.Log, n int, seed uint64, progress func(written int)) error {
	g := newGenerator(seed)
	for written := 0; written < n; {
		chunk := make([]eventlog.NewEvent, 0, generateChunk)
		for range min(generateChunk, n-written) {
			chunk = append(chunk, g.next())
		}
		if err := log.AppendBulk(ctx, conn, chunk); err != nil {
			return fmt.Errorf("write generated events (after %d): %w", written, err)
		}
		written += len(chunk)
		if progress != nil {
			progress(written)
		}
	}
	return nil
}
