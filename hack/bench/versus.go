package main

import (
	"context"
	"fmt"

	"github.com/nawhas/nawhas-operator/hack/bench/rivals"
)

// The first database that a rival builds is compared with a replay's.

func (r *replays) timeRestore(ctx context.Context) error {
	took, err := rivals.Restore(ctx, r.Server, r.dump, theirs)
	if err != nil {
		return err
	}
	if len(r.restore) == 0 {
		if err := r.Server.SameContent(ctx, reference, theirs); err != nil {
			return err
		}
	}
	r.restore = append(r.restore, took.Seconds())
	r.tell("pg_restore -j2 and ANALYZE", r.events, took)
	return r.Server.Drop(ctx, theirs)
}

func (r *replays) timeSQL(ctx context.Context) error {
	if err := r.Migrate(ctx, source, theirs); err != nil {
		return err
	}
	if err := rivals.PutLog(ctx, r.Server, source, theirs); err != nil {
		return err
	}
	took, err := rivals.SQL(ctx, r.Server, theirs)
	if err != nil {
		return err
	}
	if len(r.sql) == 0 {
		if err := r.Server.SameLibrary(ctx, reference, theirs); err != nil {
			return fmt.Errorf("build in pure SQL: %w", err)
		}
	}
	r.sql = append(r.sql, took.Seconds())
	r.tell("pure SQL", r.events, took)
	return r.Server.Drop(ctx, theirs)
}

func (r *replays) timeLoop(ctx context.Context) error {
	if err := r.Migrate(ctx, smallLog, theirs); err != nil {
		return err
	}
	if err := r.Server.Settle(ctx); err != nil {
		return err
	}
	took, err := rivals.Loop(ctx, r.Server, smallLog, theirs)
	if err != nil {
		return err
	}
	if len(r.loop) == 0 {
		if err := r.Server.SameContent(ctx, small, theirs); err != nil {
			return fmt.Errorf("build with one event a transaction: %w", err)
		}
	}
	r.loop = append(r.loop, took.Seconds())
	r.tell("one event a transaction", r.smallEvents, took)
	return r.Server.Drop(ctx, theirs)
}

func (r *replays) timeEmmett(ctx context.Context) error {
	if r.emmett == nil {
		return nil
	}
	for _, batch := range rivals.EmmettBatches {
		if err := r.Migrate(ctx, smallLog, theirs); err != nil {
			return err
		}
		if err := r.emmett.Prepare(ctx, smallLog, theirs); err != nil {
			return err
		}
		took, err := r.emmett.Rebuild(ctx, theirs, batch)
		if err != nil {
			return err
		}
		if len(r.batches[batch]) == 0 {
			if err := r.Server.SameLibrary(ctx, small, theirs); err != nil {
				return fmt.Errorf("build with Emmett: %w", err)
			}
		}
		r.batches[batch] = append(r.batches[batch], took.Seconds())
		r.tell(fmt.Sprintf("Emmett in batches of %d", batch), r.smallEvents, took)
	}
	return r.Server.Drop(ctx, theirs)
}
