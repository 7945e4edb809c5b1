package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// giveBack has somebody give a version that made way its right to append back, and
// a transaction of it append, until the operator has taken the right again.
func (w *world) giveBack(ctx context.Context) error {
	conn, err := w.source(ctx)
	if err != nil {
		w.log.Info("nobody gives a right back", "error", err)
		return nil // Postgres is away
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var version, role string
	err = conn.QueryRow(ctx, `SELECT version, app_role FROM nawhas_ledger.versions JOIN pg_roles ON rolname = app_role WHERE role = 'Warm' ORDER BY warm_since DESC LIMIT 1`).Scan(&version, &role)
	if err != nil {
		w.log.Info("nobody has a right to get back", "error", err)
		return nil
	}
	w.log.Info("fault", "fault", strayRight, "version", version)
	var using sync.WaitGroup
	defer using.Wait()
	w.excuse(role, true)
	defer w.excuse(role, false)
	if _, err := conn.Exec(ctx, "GRANT INSERT ON events TO "+pgx.Identifier{role}.Sanitize()); err != nil {
		return fmt.Errorf("give version %s its right back: %w", version, err)
	}
	w.suffered(strayRight)
	using.Go(func() { w.useRight(ctx, version) })
	what := "without the right of " + version
	err = until(ctx, convergence, what, func() (bool, error) {
		// It may be live again, or dropped, by now.
		var may bool
		err := w.asks(ctx, &may, `SELECT EXISTS (SELECT FROM nawhas_ledger.versions JOIN pg_roles ON rolname = app_role
			WHERE app_role = $1 AND role <> 'Live' AND has_any_column_privilege(oid, 'public.events', 'INSERT'))`, role)
		return err == nil && !may, err
	})
	if err != nil && ctx.Err() == nil {
		return &stuck{what: what, told: err.Error()}
	}
	return err
}

// useRight appends as the version, in a transaction that outlasts the right.
func (w *world) useRight(ctx context.Context, version string) {
	_, reciters, err := w.found(ctx)
	if err != nil {
		return
	}
	conn, err := w.as(ctx, version)
	if err != nil {
		w.log.Info("nobody uses the right", "error", err) // its login is closed
		return
	}
	o := &writer{conn: conn}
	if err := o.append(ctx, reciters); err != nil {
		w.log.Info("nobody uses the right", "error", err)
		_ = conn.Close(context.WithoutCancel(ctx))
		return
	}
	_ = sleep(ctx, 3*time.Second)
	if err := o.commit(context.WithoutCancel(ctx)); err != nil {
		w.log.Info("who used the right was ended", "error", err)
	}
}

// excuse has the watcher overlook what a role may do, and does: the operator has yet
// to see it.
func (w *world) excuse(role string, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now {
		w.excused[role] = true
		return
	}
	delete(w.excused, role)
}

// overlooked are the roles that are excused.
func (w *world) overlooked() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.excused)
}
