package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"

	"github.com/nawhas/nawhas-operator/internal/catalog"
)

// Schema is the schema of the source database that holds the ledger.
const Schema = "nawhas_ledger"

// schemaLock keeps two that find no ledger apart: CREATE SCHEMA IF NOT EXISTS
// alone can fail when they meet.
const schemaLock = 0x6e61776861730003

// openPatience is how long opening waits for an operator that is in the middle
// of a change.
const openPatience = "10s"

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrSuperseded says that another operator took the ledger over.
	ErrSuperseded = errors.New("another operator has taken this release over")
	// ErrNewer says that a newer operator has migrated the ledger.
	ErrNewer = errors.New("a newer operator has changed the ledger; run that version or a newer one")
)

// ForeignError says that a source has not the ledger that knows the release.
type ForeignError struct {
	Release         string
	Expected, Found uuid.UUID // Found is uuid.Nil when there is no ledger
}

func (e *ForeignError) Error() string {
	found := "has the ledger of another installation, " + e.Found.String()
	if e.Found == uuid.Nil {
		found = "has no ledger"
	}
	return fmt.Sprintf("the source %s, and release %s was built with that of %s; put the Secret of spec.source back, or restore the schema %s. "+
		"To begin anew with this source, delete the release and create it again", found, e.Release, e.Expected, Schema)
}

// HeldError says that the release is another object's by now: one of that name
// in another cluster, which opened the ledger later.
type HeldError struct{ Release, Holder string }

func (e *HeldError) Error() string {
	return fmt.Sprintf("the ledger says that another object, with the UID %s, has taken release %s over", e.Holder, e.Release)
}

// Ledger is the open ledger of one release. It is safe for concurrent use.
type Ledger struct {
	pool         *pgxpool.Pool
	release      string
	installation uuid.UUID
	epoch        atomic.Int64
	// log is as the ledger has it; only this operator changes it.
	log atomic.Value
}

// Open makes or migrates the ledger and takes a new epoch of the release
// (namespace/name), which refuses further writes to every operator that opened
// it before. It waits for one that is in the middle of a change. The holder is
// the UID of the release's object.
func Open(ctx context.Context, pool *pgxpool.Pool, release, holder string) (*Ledger, error) {
	return open(ctx, pool, release, holder, true)
}

func open(ctx context.Context, pool *pgxpool.Pool, release, holder string, takeOver bool) (*Ledger, error) {
	if err := migrateSchema(ctx, pool); err != nil {
		return nil, err
	}
	l := &Ledger{pool: pool, release: release}
	if err := pool.QueryRow(ctx, `SELECT id FROM nawhas_ledger.installation`).Scan(&l.installation); err != nil {
		return nil, fmt.Errorf("read the ledger's installation: %w", err)
	}
	var epoch int64
	var log string
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+openPatience+"'"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO nawhas_ledger.releases AS r (release, epoch, holder) VALUES ($1, 1, $2)
			ON CONFLICT (release) DO UPDATE SET epoch = r.epoch + 1, holder = $2, opened_at = clock_timestamp()
			WHERE $3 OR r.holder IN ('', $2) RETURNING epoch, log`, release, holder, takeOver).Scan(&epoch, &log)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		other, err := l.Holder(ctx)
		if err != nil {
			return nil, err
		}
		return nil, &HeldError{Release: release, Holder: other}
	}
	if err != nil {
		return nil, fmt.Errorf("take an epoch of %s in the ledger: %w", release, err)
	}
	l.epoch.Store(epoch)
	l.log.Store(log)
	return l, nil
}

// OpenKnown is Open for a release that the ledger of an installation knows. Any
// other ledger, or none, is a *ForeignError: no epoch is taken and no ledger
// made.
func OpenKnown(ctx context.Context, pool *pgxpool.Pool, release, holder string, installation uuid.UUID) (*Ledger, error) {
	if err := isOf(ctx, pool, release, installation); err != nil {
		return nil, err
	}
	return Open(ctx, pool, release, holder)
}

// OpenHeld is Open, or OpenKnown when the installation is not uuid.Nil, for an
// object that is being deleted: a release that is another object's by now is left
// to that one, its epoch too, and the error is a *HeldError.
func OpenHeld(ctx context.Context, pool *pgxpool.Pool, release, holder string, installation uuid.UUID) (*Ledger, error) {
	if installation != uuid.Nil {
		if err := isOf(ctx, pool, release, installation); err != nil {
			return nil, err
		}
	}
	return open(ctx, pool, release, holder, false)
}

// isOf returns a *ForeignError unless the ledger is that of the installation.
func isOf(ctx context.Context, pool *pgxpool.Pool, release string, installation uuid.UUID) error {
	var present bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('nawhas_ledger.installation') IS NOT NULL`).Scan(&present); err != nil {
		return fmt.Errorf("look for the ledger: %w", err)
	}
	found := uuid.Nil
	if present {
		if err := pool.QueryRow(ctx, `SELECT id FROM nawhas_ledger.installation`).Scan(&found); err != nil {
			return fmt.Errorf("read the ledger's installation: %w", err)
		}
	}
	if found != installation {
		return &ForeignError{Release: release, Expected: installation, Found: found}
	}
	return nil
}

// Installation is the random id of this ledger, part of every stamp.
func (l *Ledger) Installation() uuid.UUID { return l.installation }

// Epoch is this operator's number among those that have looked after the
// release: whoever has a higher one has taken over.
func (l *Ledger) Epoch() int64 { return l.epoch.Load() }

// Holder is the object for which the present epoch was taken, by whomever.
func (l *Ledger) Holder(ctx context.Context) (string, error) {
	var holder string
	if err := l.pool.QueryRow(ctx, `SELECT holder FROM nawhas_ledger.releases WHERE release = $1`, l.release).Scan(&holder); err != nil {
		return "", fmt.Errorf("read who holds %s in the ledger: %w", l.release, err)
	}
	return holder, nil
}

// LetGo records that the object which holds the release is gone: it is nobody's
// until the next one opens the ledger.
func (l *Ledger) LetGo(ctx context.Context) error {
	tag, err := l.pool.Exec(ctx, `UPDATE nawhas_ledger.releases SET holder = '' WHERE release = $1 AND epoch = $2`, l.release, l.Epoch())
	if err != nil {
		return fmt.Errorf("let release %s go in the ledger: %w", l.release, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrSuperseded
	}
	return nil
}

// Overtake takes an epoch above the given one, which this ledger has never
// given out: it was restored from a backup.
func (l *Ledger) Overtake(ctx context.Context, above int64) error {
	tag, err := l.pool.Exec(ctx, `UPDATE nawhas_ledger.releases SET epoch = $3 WHERE release = $1 AND epoch = $2`, l.release, l.Epoch(), above+1)
	if err != nil {
		return fmt.Errorf("take an epoch above %d of %s in the ledger: %w", above, l.release, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrSuperseded
	}
	l.epoch.Store(above + 1)
	return nil
}

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

// Guard runs work in a transaction on the source that holds this epoch: until
// it ends, another operator that wants to take over waits. Work elsewhere, on
// the databases' server, is guarded as well while do runs. Under an older epoch
// do is not called and the error is ErrSuperseded.
func (l *Ledger) Guard(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var epoch int64
		if err := tx.QueryRow(ctx, `SELECT epoch FROM nawhas_ledger.releases WHERE release = $1 FOR SHARE`, l.release).Scan(&epoch); err != nil {
			return fmt.Errorf("read the ledger's epoch: %w", err)
		}
		if epoch != l.Epoch() {
			return ErrSuperseded
		}
		return do(tx)
	})
}

// ChangeRights is Guard for rights on the log, which other releases may be changing
// too: do may be called again. The change has to be made over tx. Made over another
// connection it might come late, after this operator was taken over: the session that
// holds the epoch can end before it.
func (l *Ledger) ChangeRights(ctx context.Context, do func(tx pgx.Tx) error) error {
	return catalog.Change(ctx, func() error { return l.Guard(ctx, do) })
}

// RoleIn is a version's role as the ledger has it now, which stays so until the
// transaction ends. It is empty for one that is gone.
func (l *Ledger) RoleIn(ctx context.Context, tx pgx.Tx, v *Version) (Role, error) {
	var role Role
	err := tx.QueryRow(ctx, `SELECT role FROM nawhas_ledger.versions WHERE release = $1 AND version = $2 FOR SHARE`, v.Release, v.Version).Scan(&role)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return role, wrap(err, "read the role of", v)
}
