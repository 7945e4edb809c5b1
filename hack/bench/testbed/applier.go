package testbed

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Cost is what was spent up to a moment.
type Cost struct {
	// Program and Sessions are processor time: the program's own and that of its
	// sessions on the server.
	Program, Sessions time.Duration
	// Transactions is how many the server has carried out in the databases.
	Transactions int64
}

// Minus is what was spent since an earlier moment.
func (c Cost) Minus(earlier Cost) Cost {
	return Cost{c.Program - earlier.Program, c.Sessions - earlier.Sessions, c.Transactions - earlier.Transactions}
}

// Cost tells what a program with sessions in these databases has cost so far.
// The sessions must be the same at every call.
func (s *Server) Cost(ctx context.Context, p *Process, databases ...string) (Cost, error) {
	var cost Cost
	var err error
	if cost.Program, err = p.CPU(); err != nil {
		return cost, err
	}
	rows, err := s.admin.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = ANY($1) AND application_name LIKE 'nawhas%'", databases)
	if err != nil {
		return cost, fmt.Errorf("list the sessions of the program: %w", err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return cost, fmt.Errorf("list the sessions of the program: %w", err)
	}
	for _, pid := range pids {
		spent, err := timesOf(int(pid))
		if err != nil {
			return cost, err
		}
		cost.Sessions += spent.own
	}
	err = s.admin.QueryRow(ctx, "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = ANY($1)", databases).Scan(&cost.Transactions)
	if err != nil {
		return cost, fmt.Errorf("count transactions: %w", err)
	}
	return cost, nil
}

// Committed is when the server committed what was projected of each event
// since a moment. The server must have been started with
// track_commit_timestamp.
func (s *Server) Committed(ctx context.Context, database string, since time.Time) (map[uuid.UUID]time.Time, error) {
	committed := map[uuid.UUID]time.Time{}
	err := s.On(ctx, database, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT event_id, max(pg_xact_commit_timestamp(xmin)) FROM projected_events
			WHERE projected_at >= $1 GROUP BY event_id`, since)
		if err != nil {
			return err
		}
		var id uuid.UUID
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
			committed[id] = at
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read when events were applied: %w", err)
	}
	return committed, nil
}
