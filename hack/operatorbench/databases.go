package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

const (
	sourceAccount    = "operator_source"
	databasesAccount = "operator_databases"
)

// settings are those of the server, which need not survive a crash here.
var settings = []string{"fsync=off", "max_connections=500", "shared_buffers=512MB", "max_wal_size=8GB",
	"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000", "autovacuum=off"}

// databases is a Postgres with the sources. The first source is behind a wire
// that can be held.
type databases struct {
	server  *pgtest.Server
	admin   *pgx.Conn
	version string
	sources int
	wire    *wire
}

func startDatabases(ctx context.Context, sources int) (*databases, error) {
	server, err := pgtest.Start(settings...)
	if err != nil {
		return nil, err
	}
	d := &databases{server: server, sources: sources}
	if d.admin, err = pgx.Connect(ctx, server.URL("postgres")); err != nil {
		return d, fmt.Errorf("connect to Postgres: %w", err)
	}
	if err := d.admin.QueryRow(ctx, "SHOW server_version").Scan(&d.version); err != nil {
		return d, fmt.Errorf("ask Postgres for its version: %w", err)
	}
	statements := []string{
		"CREATE EXTENSION pg_stat_statements",
		"CREATE ROLE " + sourceAccount + " LOGIN CREATEROLE PASSWORD 'secret'",
		"CREATE ROLE " + databasesAccount + " LOGIN CREATEROLE CREATEDB PASSWORD 'secret'",
	}
	for i := range sources {
		statements = append(statements, fmt.Sprintf("CREATE DATABASE %s OWNER %s", sourceName(i), sourceAccount))
	}
	for _, statement := range statements {
		if _, err := d.admin.Exec(ctx, statement); err != nil {
			return d, fmt.Errorf("%s: %w", statement, err)
		}
	}
	for i := range sources {
		if err := d.initialise(ctx, i); err != nil {
			return d, err
		}
	}
	d.wire, err = newWire(d.hostOf(server.URL("postgres")))
	return d, err
}

func (d *databases) initialise(ctx context.Context, source int) error {
	conn, err := pgx.Connect(ctx, d.server.URLAs(sourceAccount, "secret", sourceName(source)))
	if err != nil {
		return fmt.Errorf("connect to a source: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return eventlog.New(eventlog.DefaultTable()).Init(ctx, conn)
}

func sourceName(i int) string { return fmt.Sprintf("log_%d", i) }

// sourceURL is how the operator reaches a source; the first one by the wire.
func (d *databases) sourceURL(i int) string {
	direct := d.server.URLAs(sourceAccount, "secret", sourceName(i))
	if i == 0 {
		return d.onWire(direct)
	}
	return direct
}

func (d *databases) databasesURL() string {
	return d.server.URLAs(databasesAccount, "secret", "postgres")
}

func (d *databases) onWire(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Host = d.wire.address()
	return u.String()
}

// direct is the connection string of a pod without the wire: programs of pods
// are not what hangs.
func (d *databases) direct(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Host = d.hostOf(d.server.URL("postgres"))
	return u.String()
}

func (d *databases) hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// asked is what the operator has asked of a source so far.
type asked struct {
	calls   int64
	seconds float64
}

// statements counts the statements of the operator's account in each source.
func (d *databases) statements(ctx context.Context) (map[string]asked, error) {
	rows, err := d.admin.Query(ctx, `SELECT b.datname::text, sum(s.calls)::bigint, sum(s.total_exec_time) / 1000
		FROM pg_stat_statements s JOIN pg_database b ON b.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
		WHERE r.rolname = $1 AND s.toplevel GROUP BY 1`, sourceAccount)
	if err != nil {
		return nil, fmt.Errorf("count the statements: %w", err)
	}
	found := map[string]asked{}
	var name string
	var a asked
	_, err = pgx.ForEachRow(rows, []any{&name, &a.calls, &a.seconds}, func() error {
		if strings.HasPrefix(name, "log_") {
			found[name] = a
		}
		return nil
	})
	return found, err
}

func (d *databases) stop() {
	if d.wire != nil {
		d.wire.close()
	}
	if d.admin != nil {
		_ = d.admin.Close(context.Background())
	}
	d.server.Close()
}
