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
// their members. It is one query, whose cost grows with the grants and
// memberships there are and not with their product.
func (l *Log) Writers(ctx context.Context, db DB) (Writers, error) {
	rows, err := db.Query(ctx, l.sql.writers)
	if err != nil {
		return Writers{}, fmt.Errorf("read who can append to the log: %w", err)
	}
	var w Writers
	var kind, role string
	var grant Grant
	_, err = pgx.ForEachRow(rows, []any{&kind, &role, &grant.Grantee, &grant.Grantor}, func() error {
		w.add(kind, role, grant)
		return nil
	})
	if err != nil {
		return Writers{}, fmt.Errorf("read who can append to the log: %w", err)
	}
	slices.Sort(w.Owners)
	slices.Sort(w.Superusers)
	return w, nil
}

// add takes one row of the query, whose rows of one role follow each other.
func (w *Writers) add(kind, role string, grant Grant) {
	switch kind {
	case "owner":
		w.Owners = append(w.Owners, role)
	case "superuser":
		w.Superusers = append(w.Superusers, role)
	default:
		if last := len(w.Granted) - 1; last < 0 || w.Granted[last].Role != role {
			w.Granted = append(w.Granted, Writer{Role: role})
		}
		last := &w.Granted[len(w.Granted)-1]
		last.Through = append(last.Through, grant)
	}
}

// writersQuery follows memberships from those who have a right to those who get
// it through them. Asking pg_has_role for each pair instead takes seconds when
// the log has a thousand roles. The owner of the database is a member of
// pg_database_owner although nobody made it one. A login that becomes the role
// which has the right is no other writer than that role.
func writersQuery(regclass string) string {
	return `WITH RECURSIVE log AS (
			SELECT relowner, relacl FROM pg_class WHERE oid = ` + regclass + `
		), membership AS (
			SELECT roleid, member FROM pg_auth_members
			UNION ALL
			SELECT r.oid, d.datdba FROM pg_roles r, pg_database d WHERE r.rolname = 'pg_database_owner' AND d.datname = current_database()
		), acl AS (
			SELECT (aclexplode(relacl)).* FROM log
			UNION ALL
			SELECT (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = ` + regclass + ` AND NOT attisdropped
		), allowed AS (
			SELECT DISTINCT grantee, grantor::regrole::text AS grantor FROM acl WHERE privilege_type = 'INSERT'
			UNION ALL
			SELECT oid, '' FROM pg_roles WHERE rolname = 'pg_write_all_data'
		), heirs AS (
			SELECT grantee, grantor, grantee AS role FROM allowed WHERE grantee <> 0
			UNION
			SELECT h.grantee, h.grantor, m.member FROM heirs h JOIN membership m ON m.roleid = h.role
		), owners AS (
			SELECT relowner AS role FROM log
			UNION
			SELECT m.member FROM owners o JOIN membership m ON m.roleid = o.role
		)
		SELECT 'owner', r.rolname::text, '', '' FROM owners o JOIN pg_roles r ON r.oid = o.role WHERE r.rolcanlogin AND NOT r.rolsuper
		UNION ALL
		SELECT 'superuser', rolname::text, '', '' FROM pg_roles WHERE rolcanlogin AND rolsuper
		UNION ALL
		SELECT 'writer', r.rolname::text, h.grantee::regrole::text, h.grantor FROM heirs h JOIN pg_roles r ON r.oid = h.role
		WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT EXISTS (SELECT FROM owners o WHERE o.role = h.role)
			AND coalesce('role=' || h.grantee::regrole::text <> ALL(r.rolconfig), true)
		UNION ALL
		SELECT 'writer', 'PUBLIC', 'PUBLIC', grantor FROM allowed WHERE grantee = 0
		ORDER BY 1, 2, 3, 4`
}
