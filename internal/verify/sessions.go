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

// another is the same inspection over sessions of its own that see the same
// snapshots.
func (in *inspection) another(ctx context.Context) (other *inspection, release func(), err error) {
	copied := *in
	var conns []*pgx.Conn
	release = func() {
		for _, conn := range conns {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}
	for _, side := range []struct {
		config   *pgx.ConnConfig
		exported string
		tx       *pgx.Tx
	}{{in.Database.Config(), in.exported, &copied.database}, {in.Source.Config(), in.exportedLog, &copied.source}} {
		conn, err := pgx.ConnectConfig(ctx, side.config)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("open another session: %w", err)
		}
		conns = append(conns, conn)
		if *side.tx, err = join(ctx, conn, side.exported); err == nil {
			err = prepare(ctx, *side.tx)
		}
		if err != nil {
			release()
			return nil, nil, err
		}
	}
	return &copied, release, nil
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
