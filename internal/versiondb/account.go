package versiondb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is a connection, a pool or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// CheckDatabasesAccount returns a *RightsError when the account of the
// databases server cannot create databases and roles.
func CheckDatabasesAccount(ctx context.Context, db DB) error {
	account, err := readAccount(ctx, db)
	if err != nil {
		return err
	}
	var missing []MissingRight
	if !account.superuser && !account.createDB {
		missing = append(missing, MissingRight{"create databases", "ALTER ROLE " + quote(account.name) + " CREATEDB;"})
	}
	return account.lacking(append(missing, account.needCreateRole()...))
}

// CheckSourceAccount returns a *RightsError when the account of the source
// cannot create roles or the ledger's schema, or does not own the one there
// is. Its rights on the log itself are the business of the event log.
func CheckSourceAccount(ctx context.Context, db DB, ledgerSchema string) error {
	account, err := readAccount(ctx, db)
	if err != nil {
		return err
	}
	var database string
	var mayCreate bool
	var schemaOwner *string
	var ownsSchema bool
	err = db.QueryRow(ctx, `SELECT current_database(), has_database_privilege(current_database(), 'CREATE'),
		(SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1),
		coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1), false)`,
		ledgerSchema).Scan(&database, &mayCreate, &schemaOwner, &ownsSchema)
	if err != nil {
		return fmt.Errorf("read the rights of the source's account: %w", err)
	}
	missing := account.needCreateRole()
	switch {
	case schemaOwner == nil && !mayCreate:
		missing = append(missing, MissingRight{"create the schema " + quote(ledgerSchema),
			fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s;", quote(database), quote(account.name))})
	case schemaOwner != nil && !ownsSchema:
		missing = append(missing, MissingRight{fmt.Sprintf("use the schema %s of role %s", quote(ledgerSchema), quote(*schemaOwner)),
			fmt.Sprintf("GRANT %s TO %s;", quote(*schemaOwner), quote(account.name))})
	}
	return account.lacking(missing)
}

type account struct {
	name                            string
	superuser, createDB, createRole bool
}

func readAccount(ctx context.Context, db DB) (account, error) {
	var a account
	err := db.QueryRow(ctx, `SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user`).
		Scan(&a.name, &a.superuser, &a.createDB, &a.createRole)
	if err != nil {
		return account{}, fmt.Errorf("read the rights of the account: %w", err)
	}
	return a, nil
}

func (a account) needCreateRole() []MissingRight {
	if a.superuser || a.createRole {
		return nil
	}
	return []MissingRight{{"create roles", "ALTER ROLE " + quote(a.name) + " CREATEROLE;"}}
}

func (a account) lacking(missing []MissingRight) error {
	if len(missing) == 0 {
		return nil
	}
	return &RightsError{Account: a.name, Missing: missing}
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
