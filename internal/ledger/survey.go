package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Querier is a connection, a pool or a transaction of the source.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Glance is what matters of a version to those who only want to know whether
// anything has changed.
type Glance struct {
	Release, Version string
	AppRole          string
	Role             Role
	// Stage, Position and Problem are what the version's own process reported last.
	Stage    string
	Position int64
	Problem  *Problem
	// AuditFailed says that what it applied was found wrong.
	AuditFailed bool
	// Catalog is a digest of what the source's server knows of the version: its
	// roles, who their members are, what they and everybody are granted on the log
	// and the ledger, and its database, if that is on the same server. It is the same as
	// long as nobody changes any of that.
	Catalog string
}

// Survey is a glance at all versions of all releases, taken at one moment.
type Survey struct {
	// Head is what the query of the log answered.
	Head     int64
	Versions []Glance
}

// Look reads a survey of the source in one short query, at one moment. Of the
// log it is given two queries: head, of one number, tells where it ends, and
// grants, of oids and texts, what roles may do with it, and everybody (oid 0).
func Look(ctx context.Context, db Querier, head, grants string) (Survey, error) {
	rows, err := db.Query(ctx, `WITH granted AS MATERIALIZED (`+grants+`
		), reporting AS MATERIALIZED (
			SELECT (a).grantee AS role, string_agg((a).privilege_type, ',' ORDER BY (a).privilege_type) AS granted FROM (
				SELECT aclexplode(attacl) AS a FROM pg_attribute WHERE attrelid = 'nawhas_ledger.checkpoints'::regclass
				UNION ALL
				SELECT aclexplode(nspacl) FROM pg_namespace WHERE nspname = 'nawhas_ledger'
			) t GROUP BY 1
		), roles AS MATERIALIZED (
			SELECT r.rolname, md5(concat_ws('|', r.oid, r.rolcanlogin, r.rolconnlimit, r.rolconfig, g.granted, e.granted, p.granted,
				(SELECT string_agg(m.member::text, ',' ORDER BY m.member) FROM pg_auth_members m WHERE m.roleid = r.oid))) AS digest
			FROM (SELECT owner_role AS name FROM nawhas_ledger.versions UNION ALL SELECT app_role FROM nawhas_ledger.versions) n
				JOIN pg_roles r ON r.rolname = n.name LEFT JOIN granted g ON g.role = r.oid LEFT JOIN granted e ON e.role = 0 LEFT JOIN reporting p ON p.role = r.oid
		)
		SELECT h.head, coalesce(v.release, ''), coalesce(v.version, ''), coalesce(v.app_role, ''), coalesce(v.role, ''),
			coalesce(c.stage, ''), coalesce(c.position, 0), c.problem, coalesce(c.audit->'passed' = 'false', false), concat_ws(' ', o.digest, a.digest, md5(concat_ws('|', d.oid, d.datallowconn, d.datacl)))
		FROM (SELECT (`+head+`) AS head) h LEFT JOIN nawhas_ledger.versions v ON true
			LEFT JOIN nawhas_ledger.checkpoints c ON c.role = v.owner_role
			LEFT JOIN roles o ON o.rolname = v.owner_role LEFT JOIN roles a ON a.rolname = v.app_role
			LEFT JOIN pg_database d ON d.datname = v.database
		ORDER BY v.release, v.version`)
	if err != nil {
		return Survey{}, fmt.Errorf("survey the ledger: %w", err)
	}
	var found Survey
	var g Glance
	_, err = pgx.ForEachRow(rows, []any{&found.Head, &g.Release, &g.Version, &g.AppRole, &g.Role, &g.Stage, &g.Position, &g.Problem, &g.AuditFailed, &g.Catalog}, func() error {
		if g.Release != "" {
			found.Versions = append(found.Versions, g)
		}
		g.Problem = nil
		return nil
	})
	if err != nil {
		return Survey{}, fmt.Errorf("survey the ledger: %w", err)
	}
	return found, nil
}
