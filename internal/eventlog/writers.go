package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Public is the name of a [Writer] that is everybody.
const Public = "PUBLIC"

// Writer is a role that can connect and append to the log.
type Writer struct {
	Role string
	// Through are the grants that allow it: the role that has the right, where it
	// is another one, and who gave it.
	Through []Grant
}

// Grant is a right to append.
type Grant struct {
	// Grantee has the right: the writer itself, or a role it is a member of.
	Grantee string
	// Grantor gave it, empty for a role that may write everywhere.
	Grantor string
}

// String names the writer and where it has its right from.
func (w Writer) String() string {
	var through []string
	for _, g := range w.Through {
		text := "granted by " + g.Grantor
		if g.Grantor == "" {
			text = "as the server grants to all its members"
		}
		if g.Grantee != w.Role {
			text = "as a member of " + g.Grantee + ", " + text
		}
		through = append(through, text)
	}
	return w.Role + " (" + strings.Join(through, "; ") + ")"
}

// Writers are who can append to the log. Those whom no grant makes a writer,
// and no REVOKE stops, are apart.
type Writers struct {
	Granted []Writer
	// Owners are the roles that own the log, or are members of its owner.
	Owners     []string
	Superusers []string
}

// Writers tells who can append to the log, by a grant of anybody, as a member
// of a role that can, or as everybody. Roles that cannot log in are told by
// their members.
func (l *Log) Writers(ctx context.Context, db DB) (Writers, error) {
	var w Writers
	err := db.QueryRow(ctx, `SELECT
			coalesce(array_agg(r.rolname::text ORDER BY 1) FILTER (WHERE NOT r.rolsuper AND pg_has_role(r.oid, c.relowner, 'MEMBER')), '{}'),
			coalesce(array_agg(r.rolname::text ORDER BY 1) FILTER (WHERE r.rolsuper), '{}')
		FROM pg_roles r, pg_class c WHERE c.oid = `+l.sql.regclass+` AND r.rolcanlogin`).Scan(&w.Owners, &w.Superusers)
	if err != nil {
		return Writers{}, fmt.Errorf("read who owns the log: %w", err)
	}
	slices.Sort(w.Owners)
	slices.Sort(w.Superusers)
	rows, err := db.Query(ctx, `WITH acl AS (
			SELECT (aclexplode(relacl)).* FROM pg_class WHERE oid = `+l.sql.regclass+`
			UNION ALL
			SELECT (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = `+l.sql.regclass+` AND NOT attisdropped
		), allowed AS (
			SELECT DISTINCT grantee, grantor::regrole::text AS grantor FROM acl WHERE privilege_type = 'INSERT'
			UNION ALL
			SELECT oid, '' FROM pg_roles WHERE rolname = 'pg_write_all_data'
		)
		SELECT r.rolname::text, a.grantee::regrole::text, a.grantor FROM allowed a JOIN pg_roles r ON a.grantee <> 0 AND pg_has_role(r.oid, a.grantee, 'MEMBER')
		WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT pg_has_role(r.oid, (SELECT relowner FROM pg_class WHERE oid = `+l.sql.regclass+`), 'MEMBER')
		UNION ALL
		SELECT 'PUBLIC', 'PUBLIC', grantor FROM allowed WHERE grantee = 0
		ORDER BY 1, 2, 3`)
	if err != nil {
		return Writers{}, fmt.Errorf("read who can append to the log: %w", err)
	}
	var role string
	var grant Grant
	_, err = pgx.ForEachRow(rows, []any{&role, &grant.Grantee, &grant.Grantor}, func() error {
		if last := len(w.Granted) - 1; last < 0 || w.Granted[last].Role != role {
			w.Granted = append(w.Granted, Writer{Role: role})
		}
		last := &w.Granted[len(w.Granted)-1]
		last.Through = append(last.Through, grant)
		return nil
	})
	if err != nil {
		return Writers{}, fmt.Errorf("read who can append to the log: %w", err)
	}
	return w, nil
}
