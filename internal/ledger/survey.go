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
}

// Survey is a glance at all versions of all releases, taken at one moment.
type Survey struct {
	// Head is what the query of the log answered.
	Head     int64
	Versions []Glance
}

// Look reads a survey of the source in one short query. The given query, of one
// number, tells the head of the log; it sees the same moment.
func Look(ctx context.Context, db Querier, head string) (Survey, error) {
	rows, err := db.Query(ctx, `SELECT h.head, coalesce(v.release, ''), coalesce(v.version, ''), coalesce(v.app_role, ''), coalesce(v.role, ''),
			coalesce(c.stage, ''), coalesce(c.position, 0), c.problem, coalesce(c.audit->'passed' = 'false', false)
		FROM (SELECT (`+head+`) AS head) h LEFT JOIN nawhas_ledger.versions v ON true
			LEFT JOIN nawhas_ledger.checkpoints c ON c.role = v.owner_role
		ORDER BY v.release, v.version`)
	if err != nil {
		return Survey{}, fmt.Errorf("survey the ledger: %w", err)
	}
	var found Survey
	var g Glance
	_, err = pgx.ForEachRow(rows, []any{&found.Head, &g.Release, &g.Version, &g.AppRole, &g.Role, &g.Stage, &g.Position, &g.Problem, &g.AuditFailed}, func() error {
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
