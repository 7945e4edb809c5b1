package versiondb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// AllowComparing lets the owner-side role of another version read the tables
// of a version's database, for as long as the two are compared.
func (s Server) AllowComparing(ctx context.Context, database, reader string) error {
	return s.inDatabase(ctx, database, fmt.Sprintf("let %s read %s", reader, database),
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(database), quote(reader)),
		"GRANT USAGE ON SCHEMA public TO "+quote(reader),
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+quote(reader))
}

// ForbidComparing takes back what AllowComparing gave, in those of the
// databases that the reader can connect to.
func (s Server) ForbidComparing(ctx context.Context, db DB, databases []string, reader string) error {
	rows, err := db.Query(ctx, `SELECT d.datname::text FROM pg_database d JOIN pg_roles r ON r.rolname = $2
		WHERE d.datname = ANY($1) AND d.datallowconn AND has_database_privilege(r.oid, d.oid, 'CONNECT')`, databases, reader)
	if err != nil {
		return fmt.Errorf("read which databases %s can read: %w", reader, err)
	}
	readable, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read which databases %s can read: %w", reader, err)
	}
	for _, database := range readable {
		// CONNECT goes last: it is what the others are found by.
		if err := s.inDatabase(ctx, database, fmt.Sprintf("take from %s the right to read %s", reader, database),
			"REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM "+quote(reader),
			"REVOKE USAGE ON SCHEMA public FROM "+quote(reader),
			fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM %s", quote(database), quote(reader))); err != nil {
			return err
		}
	}
	return nil
}

// inDatabase runs statements as the server's account, which owns the versions'
// databases and is a member of their roles.
func (s Server) inDatabase(ctx context.Context, database, attempt string, statements ...string) error {
	config := s.Config.Copy()
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", database, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", attempt, err)
		}
	}
	return nil
}
