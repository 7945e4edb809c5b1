package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"
)

// Schema is the schema of the source database that holds the ledger.
const Schema = "nawhas_ledger"

// schemaLock keeps two that find no ledger apart: CREATE SCHEMA IF NOT EXISTS
// alone can fail when they meet.
const schemaLock = 0x6e61776861730003

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrSuperseded says that another operator took the ledger over.
	ErrSuperseded = errors.New("another operator has taken this release over")
	// ErrNewer says that a newer operator has migrated the ledger.
	ErrNewer = errors.New("a newer operator has changed the ledger; run that version or a newer one")
)

// Ledger is the open ledger of one release. It is safe for concurrent use.
type Ledger struct {
	pool         *pgxpool.Pool
	release      string
	installation uuid.UUID
	epoch        int64
}

// Open makes or migrates the ledger and takes a new epoch of the release
// (namespace/name), which refuses further writes to every operator that opened
// it before.
func Open(ctx context.Context, pool *pgxpool.Pool, release string) (*Ledger, error) {
	if err := migrateSchema(ctx, pool); err != nil {
		return nil, err
	}
	l := &Ledger{pool: pool, release: release}
	if err := pool.QueryRow(ctx, `SELECT id FROM nawhas_ledger.installation`).Scan(&l.installation); err != nil {
		return nil, fmt.Errorf("read the ledger's installation: %w", err)
	}
	err := pool.QueryRow(ctx, `INSERT INTO nawhas_ledger.releases AS r (release, epoch) VALUES ($1, 1)
		ON CONFLICT (release) DO UPDATE SET epoch = r.epoch + 1, opened_at = clock_timestamp() RETURNING epoch`, release).Scan(&l.epoch)
	if err != nil {
		return nil, fmt.Errorf("take an epoch of %s in the ledger: %w", release, err)
	}
	return l, nil
}

// Installation is the random id of this ledger, part of every stamp.
func (l *Ledger) Installation() uuid.UUID { return l.installation }

// Release is the release that this ledger was opened for, namespace/name.
func (l *Ledger) Release() string { return l.release }

func migrateSchema(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the ledger: %w", err)
	}
	defer conn.Release()
	if err := ensureSchema(ctx, conn.Conn()); err != nil {
		return err
	}
	return migrateTables(ctx, conn.Conn())
}

// ensureSchema looks before it creates: CREATE SCHEMA IF NOT EXISTS asks for
// the right to create even when the schema is there.
func ensureSchema(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", Schema).Scan(&exists); err != nil {
		return fmt.Errorf("look for the ledger: %w", err)
	}
	if exists {
		return nil
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(schemaLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+Schema)
		return err
	})
	if err != nil {
		return fmt.Errorf("create the ledger's schema: %w", err)
	}
	return nil
}

func migrateTables(ctx context.Context, conn *pgx.Conn) error {
	migrator, err := migrate.NewMigrator(ctx, conn, Schema+".schema_version")
	if err != nil {
		return fmt.Errorf("prepare the ledger's migrations: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("open the ledger's migrations: %w", err)
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return fmt.Errorf("load the ledger's migrations: %w", err)
	}
	current, err := migrator.GetCurrentVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger's version: %w", err)
	}
	if int(current) > len(migrator.Migrations) {
		return ErrNewer
	}
	if err := migrator.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	return nil
}

// write runs one transition in a transaction that holds this epoch: the row
// lock keeps another operator from taking over in the middle.
func (l *Ledger) write(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var epoch int64
		if err := tx.QueryRow(ctx, `SELECT epoch FROM nawhas_ledger.releases WHERE release = $1 FOR SHARE`, l.release).Scan(&epoch); err != nil {
			return fmt.Errorf("read the ledger's epoch: %w", err)
		}
		if epoch != l.epoch {
			return ErrSuperseded
		}
		return do(tx)
	})
}
