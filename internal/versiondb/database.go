package versiondb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const duplicateDatabase = "42P04"

// Database is a version's database as it should be.
type Database struct {
	Names Names
	Stamp Stamp
}

// Server is the server on which databases are made.
type Server struct {
	// Config is the account's connection; its database is only where to knock.
	Config *pgx.ConnConfig
}

// Found is what exists under a version's name.
type Found struct {
	Exists bool
	// Stamp is valid only when Stamped.
	Stamped bool
	Stamp   Stamp
	Comment string
}

// Find looks for a database by name.
func Find(ctx context.Context, db DB, name string) (Found, error) {
	var text string
	err := db.QueryRow(ctx, `SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1`, name).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, fmt.Errorf("look for database %s: %w", name, err)
	}
	stamp, ok := ParseStamp(text)
	return Found{Exists: true, Stamped: ok, Stamp: stamp, Comment: text}, nil
}

// Ensure makes the database, with the rights of its roles. One that exists with
// the very stamp is left as it is, but for rights that were taken away. A database of that name with any other stamp, or none,
// is a *ForeignError. The roles must exist.
func (s Server) Ensure(ctx context.Context, db DB, want Database) error {
	found, err := Find(ctx, db, want.Names.Database)
	if err != nil {
		return err
	}
	if found.Exists {
		if !found.Stamped || found.Stamp != want.Stamp {
			return &ForeignError{Kind: "database", Name: want.Names.Database, Comment: found.Comment}
		}
		return s.restore(ctx, db, want.Names)
	}
	draft := draftName(want.Stamp)
	if _, err := db.Exec(ctx, "CREATE DATABASE "+quote(draft)+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil && !isCode(err, duplicateDatabase) {
		return fmt.Errorf("create database %s: %w", want.Names.Database, err)
	}
	if err := s.grant(ctx, draft, want.Names); err != nil {
		return err
	}
	return publish(ctx, db, draft, want)
}

// restore gives the roles their rights again if one of them may not even
// connect, as one that was dropped and made again.
func (s Server) restore(ctx context.Context, db DB, names Names) error {
	var whole bool
	err := db.QueryRow(ctx, `SELECT has_database_privilege($1, $3, 'CONNECT') AND has_database_privilege($1, $3, 'TEMPORARY') AND has_database_privilege($2, $3, 'CONNECT')`,
		names.Owner, names.App, names.Database).Scan(&whole)
	if err != nil {
		return fmt.Errorf("read who may connect to database %s: %w", names.Database, err)
	}
	if whole {
		return nil
	}
	return s.grant(ctx, names.Database, names)
}

// RestoreInside gives the roles their rights within a database again if one of
// them was taken away, which cannot be seen from outside. It reads over a
// connection to that database, of either role.
func (s Server) RestoreInside(ctx context.Context, db DB, names Names) error {
	var whole bool
	err := db.QueryRow(ctx, `SELECT has_schema_privilege($1, 'public', 'USAGE') AND has_schema_privilege($1, 'public', 'CREATE') AND has_schema_privilege($2, 'public', 'USAGE')`,
		names.Owner, names.App).Scan(&whole)
	if err != nil {
		return fmt.Errorf("read who may use the tables of database %s: %w", names.Database, err)
	}
	if whole {
		return nil
	}
	return s.grant(ctx, names.Database, names)
}

// grant gives the roles their rights in a database. The app role's right to
// read every table, those to come included, is given per version as default
// privileges by the role that makes the tables.
func (s Server) grant(ctx context.Context, in string, names Names) error {
	config := s.Config.Copy()
	config.Database = in
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to database %s: %w", names.Database, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	owner, app, database := quote(names.Owner), quote(names.App), quote(in)
	for _, statement := range []string{
		"REVOKE ALL ON DATABASE " + database + " FROM PUBLIC",
		"GRANT CONNECT, TEMPORARY ON DATABASE " + database + " TO " + owner,
		"GRANT CONNECT ON DATABASE " + database + " TO " + app,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE, CREATE ON SCHEMA public TO " + owner,
		"GRANT USAGE ON SCHEMA public TO " + app,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("grant rights in database %s: %w", names.Database, err)
		}
	}
	return nil
}

func publish(ctx context.Context, db DB, draft string, want Database) error {
	// One message of several statements is one transaction.
	statement := fmt.Sprintf("COMMENT ON DATABASE %s IS '%s'; ALTER DATABASE %s RENAME TO %s",
		quote(draft), strings.ReplaceAll(want.Stamp.String(), "'", "''"), quote(draft), quote(want.Names.Database))
	if err := simple(ctx, db, statement); err != nil {
		if isCode(err, duplicateDatabase) {
			return &ForeignError{Kind: "database", Name: want.Names.Database}
		}
		return fmt.Errorf("give database %s its name: %w", want.Names.Database, err)
	}
	return nil
}

// GrantReading lets the app role read what the owner-side role makes. It must
// run over a connection of the owner-side role to the version's database.
func GrantReading(ctx context.Context, db DB, names Names) error {
	for _, statement := range []string{
		"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO " + quote(names.App),
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + quote(names.App),
	} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("let %s read %s: %w", names.App, names.Database, err)
		}
	}
	return nil
}

// Retire removes a version's database: it is renamed to a tombstone only if it
// carries the stamp, and only the tombstone is dropped, its sessions ended before.
// A database that is gone is no error, and one of that name that is not ours is
// passed over: a version whose database could never be made can be retired.
func (s Server) Retire(ctx context.Context, db DB, want Database) error {
	found, err := Find(ctx, db, want.Names.Database)
	if err != nil {
		return err
	}
	tombstone := tombstoneName(want.Stamp)
	if found.Stamped && found.Stamp == want.Stamp {
		if err := bury(ctx, db, want, tombstone); err != nil {
			return err
		}
	}
	for _, name := range []string{tombstone, draftName(want.Stamp)} {
		if err := Drop(ctx, db, name); err != nil {
			return fmt.Errorf("remove what database %s was renamed to: %w", want.Names.Database, err)
		}
	}
	return nil
}

// Drop removes a database, its sessions ended before. One that is gone is no error.
func Drop(ctx context.Context, db DB, database string) error {
	// WITH (FORCE) is refused while an autovacuum worker is in the database.
	if err := endSessionsIn(ctx, db, database); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(database)); err != nil {
		return fmt.Errorf("drop database %s: %w", database, err)
	}
	return nil
}

// bury refuses new sessions, ends those there are, and renames. The check of
// the stamp and the rename are one transaction, so that what is renamed is
// what was checked.
func bury(ctx context.Context, db DB, want Database, tombstone string) error {
	name := quote(want.Names.Database)
	if _, err := db.Exec(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false"); err != nil {
		return fmt.Errorf("close database %s: %w", want.Names.Database, err)
	}
	if err := endSessionsIn(ctx, db, want.Names.Database); err != nil {
		return err
	}
	statement := fmt.Sprintf(`DO $bury$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_database WHERE datname = '%[1]s' AND shobj_description(oid, 'pg_database') = '%[2]s') THEN
		RAISE EXCEPTION 'the stamp of database %[1]s changed';
	END IF;
	ALTER DATABASE %[3]s RENAME TO %[4]s;
END $bury$`, want.Names.Database, strings.ReplaceAll(want.Stamp.String(), "'", "''"), name, quote(tombstone))
	if err := simple(ctx, db, statement); err != nil {
		return fmt.Errorf("rename database %s before it is dropped: %w", want.Names.Database, err)
	}
	return nil
}

// endSessionsIn ends the sessions of a database that this account may end.
// Asking for an autovacuum worker's end, which has no role, would be refused;
// Postgres ends those itself before a database is renamed or dropped.
func endSessionsIn(ctx context.Context, db DB, database string) error {
	_, err := db.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = $1 AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE')`, database)
	if err != nil {
		return fmt.Errorf("end the sessions of database %s: %w", database, err)
	}
	var others []string
	err = db.QueryRow(ctx, `SELECT coalesce(array_agg(format('%s (pid %s)', usename, pid) ORDER BY pid), '{}') FROM pg_stat_activity
		WHERE datname = $1 AND pid <> pg_backend_pid() AND NOT pg_has_role(usesysid, 'USAGE')`, database).Scan(&others)
	if err != nil {
		return fmt.Errorf("read the sessions of database %s: %w", database, err)
	}
	if len(others) > 0 {
		return fmt.Errorf("database %s cannot be removed while others are connected to it: %s; end these sessions", database, strings.Join(others, ", "))
	}
	return nil
}

func draftName(stamp Stamp) string     { return "nawhas_draft_" + nonce(stamp) }
func tombstoneName(stamp Stamp) string { return "nawhas_retired_" + nonce(stamp) }
func nonce(stamp Stamp) string         { return strings.ReplaceAll(stamp.Build.String(), "-", "") }

// simple sends statements without parameters as one message.
func simple(ctx context.Context, db DB, statements string) error {
	_, err := db.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}

func isCode(err error, code string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code
}
