package versiondb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Table is what can be told of a version's table without looking at what it
// means.
type Table struct {
	// File is where Postgres keeps it: another one after a TRUNCATE.
	File uint32
	// Filled says that it has a row.
	Filled bool
}

// Tables are the tables of a version's database, by their quoted names.
func (s Server) Tables(ctx context.Context, database string) (map[string]Table, error) {
	config := s.Config.Copy()
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", database, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname), pg_relation_filenode(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'`)
	if err != nil {
		return nil, fmt.Errorf("read the tables of %s: %w", database, err)
	}
	found := map[string]Table{}
	var name string
	var table Table
	if _, err := pgx.ForEachRow(rows, []any{&name, &table.File}, func() error { found[name] = table; return nil }); err != nil {
		return nil, fmt.Errorf("read the tables of %s: %w", database, err)
	}
	for name, table := range found {
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+name+")").Scan(&table.Filled); err != nil {
			return nil, fmt.Errorf("look into table %s of %s: %w", name, database, err)
		}
		found[name] = table
	}
	return found, nil
}

// GrantWriting lets the app role change what the owner-side role makes, for an
// application that projects its own events. It must run over a connection of the
// owner-side role to the version's database.
func GrantWriting(ctx context.Context, db DB, names Names) error {
	for _, statement := range []string{
		"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT, UPDATE, DELETE ON TABLES TO " + quote(names.App),
		"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO " + quote(names.App),
		"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + quote(names.App),
		"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO " + quote(names.App),
	} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("let %s write to %s: %w", names.App, names.Database, err)
		}
	}
	return nil
}
