package versiondb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Querier is a connection, a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Marks tells of each database that exists a digest of what the server knows of
// it and of its two roles: that they are there, who may connect, and who the
// roles' members are. It is one query.
func Marks(ctx context.Context, db Querier, databases []string) (map[string]string, error) {
	rows, err := db.Query(ctx, `WITH roles AS MATERIALIZED (
			SELECT r.rolname, concat_ws('|', r.oid, r.rolcanlogin, r.rolconnlimit, r.rolconfig,
				(SELECT string_agg(m.member::text, ',' ORDER BY m.member) FROM pg_auth_members m WHERE m.roleid = r.oid)) AS told
			FROM (SELECT name || '_owner' AS name FROM unnest($1::text[]) name UNION ALL SELECT name || '_app' FROM unnest($1::text[]) name) n
				JOIN pg_roles r ON r.rolname = n.name
		)
		SELECT d.datname::text, md5(concat_ws('|', d.oid, d.datallowconn, d.datacl, o.told, a.told)) FROM pg_database d
			LEFT JOIN roles o ON o.rolname = d.datname || '_owner' LEFT JOIN roles a ON a.rolname = d.datname || '_app'
		WHERE d.datname = ANY($1::text[])`, databases)
	if err != nil {
		return nil, fmt.Errorf("look at the databases: %w", err)
	}
	marks := map[string]string{}
	var name, mark string
	if _, err := pgx.ForEachRow(rows, []any{&name, &mark}, func() error { marks[name] = mark; return nil }); err != nil {
		return nil, fmt.Errorf("look at the databases: %w", err)
	}
	return marks, nil
}
