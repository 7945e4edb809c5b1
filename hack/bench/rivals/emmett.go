package rivals

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
	"github.com/nawhas/nawhas-operator/internal/library"
)

//go:embed emmett/package.json emmett/package-lock.json emmett/*.mjs
var emmettFiles embed.FS

// Emmett is the event store of that name for Node.js, with a projection of ours.
type Emmett struct {
	server *testbed.Server
	folder string
}

// EmmettBatches are the batch sizes to try; 100 is Emmett's default.
var EmmettBatches = []int{100, 500, 1000, 5000}

// InstallEmmett installs what the lock file names into a folder.
func InstallEmmett(ctx context.Context, server *testbed.Server, folder string) (*Emmett, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of Emmett: %w", err)
	}
	err := fs.WalkDir(emmettFiles, "emmett", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := emmettFiles.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, entry.Name()), content, 0o644)
	})
	if err != nil {
		return nil, fmt.Errorf("write the files of Emmett: %w", err)
	}
	if _, err := testbed.Run(ctx, nil, "npm", "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return nil, fmt.Errorf("install Emmett, which needs Node.js 20 and a registry of npm: %w", err)
	}
	return &Emmett{server, folder}, nil
}

// Prepare brings the log into Emmett's own tables, in a database that also has
// the version's tables, with their keys. Emmett has no index for the order
// it reads its messages in; one is added, for otherwise each batch sorts the
// whole log.
func (e *Emmett) Prepare(ctx context.Context, source, database string) error {
	if err := runSQL(ctx, e.server, database, contentsSQL); err != nil {
		return err
	}
	edition, err := library.EditionOf(Edition)
	if err != nil {
		return err
	}
	for _, index := range edition.Model().Indexes {
		if err := e.server.Execute(ctx, database, index.SQL); err != nil {
			return err
		}
	}
	if _, err := e.node(ctx, "schema.mjs", database); err != nil {
		return fmt.Errorf("make the tables of Emmett: %w", err)
	}
	const messages = `SELECT row_number() OVER (PARTITION BY payload->>'id' ORDER BY position), position, '3', recorded_at, 'E', payload->>'id', 'emt:default',
		'1', id, name, payload, jsonb_build_object('recordedAt', recorded_at) FROM events ORDER BY position`
	const into = `emt_messages (stream_position, global_position, transaction_id, created, message_kind, stream_id, partition,
		message_schema_version, message_id, message_type, message_data, message_metadata)`
	if err := e.server.Copy(ctx, source, messages, database, into); err != nil {
		return err
	}
	return e.server.Execute(ctx, database, "CREATE INDEX ON emt_messages (transaction_id, global_position)", "VACUUM ANALYZE")
}

// Rebuild builds the library and returns how long Emmett took by its own
// clock, without the start of Node.js.
func (e *Emmett) Rebuild(ctx context.Context, database string, batch int) (time.Duration, error) {
	if err := e.server.Settle(ctx); err != nil {
		return 0, err
	}
	out, err := e.node(ctx, "rebuild.mjs", database, strconv.Itoa(batch))
	if err != nil {
		return 0, fmt.Errorf("rebuild with Emmett: %w", err)
	}
	seconds, err := strconv.ParseFloat(out, 64)
	if err != nil {
		return 0, fmt.Errorf("rebuild with Emmett: it took %q: %w", out, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func (e *Emmett) node(ctx context.Context, script, database string, args ...string) (string, error) {
	usage, err := testbed.Run(ctx, nil, "node", append([]string{filepath.Join(e.folder, script), e.server.URL(database)}, args...)...)
	return usage.Output, err
}
