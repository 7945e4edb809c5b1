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

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrSuperseded says that another operator took the ledger over.
	ErrSuperseded = errors.New("another operator has taken over this source's ledger; this one must stop")
	// ErrNewer says that a newer operator has migrated the ledger.
	ErrNewer = errors.New("a newer operator has changed the ledger; run that version or a newer one")
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	pool         *pgxpool.Pool
	installation uuid.UUID
	epoch        int64
}

// Open makes or migrates the ledger and takes a new epoch, which refuses
// further writes to every operator that opened it before.
func Open(ctx context.Context, pool *pgxpool.Pool) (*Ledger, error) {
	if err := migrateSchema(ctx, pool); err != nil {
		return nil, err
	}
	l := &Ledger{pool: pool}
	err := pool.QueryRow(ctx, `UPDATE nawhas_ledger.installation SET epoch = epoch + 1 RETURNING id, epoch`).Scan(&l.installation, &l.epoch)
	if err != nil {
		return nil, fmt.Errorf("take an epoch of the ledger: %w", err)
	}
	return l, nil
}

// Installation is the random id of this ledger, part of every stamp.
func (l *Ledger) Installation() uuid.UUID { return l.installation }

// Epoch is this process' turn at the ledger.
func (l *Ledger) Epoch() int64 { return l.epoch }

func migrateSchema(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the ledger: %w", err)
	}
	defer conn.Release()
	if err := ensureSchema(ctx, conn.Conn()); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SET search_path = "+Schema+", pg_catalog"); err != nil {
		return fmt.Errorf("enter the ledger's schema: %w", err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), "RESET search_path") }()
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
	if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+Schema); err != nil {
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
		if err := tx.QueryRow(ctx, `SELECT epoch FROM nawhas_ledger.installation FOR SHARE`).Scan(&epoch); err != nil {
			return fmt.Errorf("read the ledger's epoch: %w", err)
		}
		if epoch != l.epoch {
			return ErrSuperseded
		}
		return do(tx)
	})
}
