package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// moreSessions is how many further pairs of sessions make checks beside the
// first: half of a check's time is one server's, half the other's.
const moreSessions = 1

// makeChecks makes all checks of the edition, some at a time, and keeps their
// order in the evidence.
func (in *inspection) makeChecks(ctx context.Context, others []*inspection) error {
	all := checks(in.Edition)
	results := make([]Check, len(all))
	queue := make(chan int, len(all))
	for _, long := range []bool{true, false} {
		for i := range all {
			if all[i].long == long {
				queue <- i
			}
		}
	}
	close(queue)
	group, ctx := errgroup.WithContext(ctx)
	for _, session := range append(others, in) {
		group.Go(func() error {
			for i := range queue {
				result, err := session.one(ctx, all[i])
				if err != nil {
					return fmt.Errorf("check %s: %w", all[i].name, err)
				}
				results[i] = result
			}
			return nil
		})
	}
	err := group.Wait()
	in.evidence.Checks = append(in.evidence.Checks, results...)
	return err
}

// others are the same inspection over sessions of their own that see the same
// snapshots, until they are released.
func (in *inspection) others(ctx context.Context, n int) (others []*inspection, release func(), err error) {
	var conns []*pgx.Conn
	release = func() {
		for _, conn := range conns {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}
	open := func(config *pgx.ConnConfig, exported string) (pgx.Tx, error) {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, fmt.Errorf("open another session: %w", err)
		}
		conns = append(conns, conn)
		tx, err := join(ctx, conn, exported)
		if err != nil {
			return nil, err
		}
		return tx, prepare(ctx, tx)
	}
	for range n {
		other := *in
		if other.database, err = open(in.Database.Config(), in.exported); err != nil {
			return nil, release, err
		}
		if other.source, err = open(in.Source.Config(), in.exportedLog); err != nil {
			return nil, release, err
		}
		others = append(others, &other)
	}
	return others, release, nil
}

// join begins a transaction that sees another session's snapshot, for reading
// only.
func join(ctx context.Context, conn *pgx.Conn, exported string) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, snapshot)
	if err == nil {
		_, err = tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+exported+"'", pgx.QueryExecModeSimpleProtocol)
	}
	if err != nil {
		return nil, fmt.Errorf("join the snapshot: %w", err)
	}
	return tx, nil
}
