package window

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// Window is the part of a log after one position, up to and with another. Nothing
// may be able to appear in it any more: Until is a watermark.
type Window struct {
	// Round tells windows of one database apart.
	Round       int32
	From, Until int64
}

// Database is a window database.
type Database struct {
	name   string
	config *pgx.ConnConfig
	log    *eventlog.Log
}

// Of is the window database of a build. config is the account's connection to
// the databases server.
func Of(build uuid.UUID, config *pgx.ConnConfig, log *eventlog.Log) *Database {
	return &Database{name: "nawhas_window_" + strings.ReplaceAll(build.String(), "-", ""), config: config, log: log}
}

// Name is what the database is called.
func (d *Database) Name() string { return d.name }

// UnsuitableError says that a log has something that its window cannot have.
type UnsuitableError struct{ message string }

func (e *UnsuitableError) Error() string { return e.message }

// DB is a connection or a pool.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Ensure makes the database and its empty table, which reader may read, unless
// it is there. Where the log's columns are others by now the table is made anew, and
// what it held has to be copied again. onServer is a connection of the account to the
// databases server.
func (d *Database) Ensure(ctx context.Context, onServer, source DB, reader string) error {
	var exists bool
	if err := onServer.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", d.name).Scan(&exists); err != nil {
		return fmt.Errorf("look for the window database %s: %w", d.name, err)
	}
	if !exists {
		if _, err := onServer.Exec(ctx, "CREATE DATABASE "+quote(d.name)+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil && !isCode(err, duplicateDatabase) {
			return fmt.Errorf("create the window database %s: %w", d.name, err)
		}
	}
	columns, err := d.columns(ctx, source)
	if err != nil {
		return err
	}
	return d.within(ctx, func(conn *pgx.Conn) error {
		var ready bool
		if err := conn.QueryRow(ctx, "SELECT to_regclass('nawhas_window.progress') IS NOT NULL").Scan(&ready); err != nil {
			return err
		}
		statements := d.definition(columns, reader)
		if ready {
			has, err := d.columns(ctx, conn)
			if err != nil || slices.Equal(has, columns) {
				return err
			}
			statements = slices.Concat([]string{"DELETE FROM nawhas_window.progress", "DROP TABLE " + d.log.Relation()}, d.table(columns, reader))
		}
		// One message of several statements is one transaction.
		_, err := conn.Exec(ctx, strings.Join(statements, ";\n"), pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

// definition makes the table and the mark of how far it is filled.
func (d *Database) definition(columns []column, reader string) []string {
	schema := quote(d.log.Table().Schema)
	return slices.Concat([]string{
		"REVOKE ALL ON DATABASE " + quote(d.name) + " FROM PUBLIC",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		"GRANT CONNECT ON DATABASE " + quote(d.name) + " TO " + quote(reader),
		"GRANT USAGE ON SCHEMA " + schema + " TO " + quote(reader),
		"CREATE SCHEMA nawhas_window",
		`CREATE TABLE nawhas_window.progress (singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton), round integer NOT NULL, from_position bigint NOT NULL,
			until_position bigint NOT NULL, filled bigint NOT NULL, events bigint NOT NULL, scans bigint NOT NULL)`,
	}, d.table(columns, reader))
}

// table makes the table as the source has it, without what fills or restricts
// columns.
func (d *Database) table(columns []column, reader string) []string {
	t := d.log.Table()
	lines := make([]string, 0, len(columns)+1)
	for _, c := range columns {
		lines = append(lines, quote(c.name)+" "+c.kind)
	}
	lines = append(lines, fmt.Sprintf("PRIMARY KEY (%s)", quote(t.Position)))
	name := quote(t.Schema, t.Name)
	return []string{fmt.Sprintf("CREATE TABLE %s (%s)", name, strings.Join(lines, ", ")), "GRANT SELECT ON " + name + " TO " + quote(reader)}
}

type column struct{ name, kind string }

func (d *Database) columns(ctx context.Context, source DB) ([]column, error) {
	rows, err := source.Query(ctx, `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.typnamespace = 'pg_catalog'::regnamespace
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, d.log.Relation())
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", d.log.Relation(), err)
	}
	var found []column
	var c column
	var builtIn bool
	_, err = pgx.ForEachRow(rows, []any{&c.name, &c.kind, &builtIn}, func() error {
		if !builtIn {
			return &UnsuitableError{fmt.Sprintf("column %s of the log %s is of type %s, which only its own database has, so that the log cannot be replayed in rounds; give the column a type of Postgres'",
				quote(c.name), d.log.Relation(), c.kind)}
		}
		found = append(found, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", d.log.Relation(), err)
	}
	return found, nil
}

// Drop removes the database and ends its sessions. One that is gone is no error.
func (d *Database) Drop(ctx context.Context, onServer DB) error {
	if err := versiondb.Drop(ctx, onServer, d.name); err != nil {
		return fmt.Errorf("drop the window: %w", err)
	}
	return nil
}

// within connects to the window database as the account.
func (d *Database) within(ctx context.Context, do func(*pgx.Conn) error) error {
	config := d.config.Copy()
	config.Database = d.name
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to the window database %s: %w", d.name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := do(conn); err != nil {
		return fmt.Errorf("in the window database %s: %w", d.name, err)
	}
	return nil
}

const duplicateDatabase = "42P04"

func isCode(err error, code string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == code
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
