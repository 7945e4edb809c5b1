package main

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// watcher looks, many times a second and past all proxies, whether two versions
// are live: two in the ledger, or one that is fenced and may write.
type watcher struct {
	world *world
	// violations are how often they were, and looks how often it looked.
	violations, looks atomic.Int64
	done              chan struct{}
}

func (w *world) watch(ctx context.Context) *watcher {
	o := &watcher{world: w, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for ctx.Err() == nil {
			// The ledger is not there yet, or Postgres is away.
			_ = o.session(ctx)
			_ = sleep(ctx, 100*time.Millisecond)
		}
	}()
	return o
}

func (o *watcher) session(ctx context.Context) error {
	conn, err := o.world.source(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		if err := o.look(ctx, conn); err != nil {
			return err
		}
		if err := sleep(ctx, 30*time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// position is where a version is, as the ledger says.
type position struct {
	role   string
	fenced bool
	app    string
}

// look reads the ledger before and after the rights, because they do not change
// together: only what was so all the time counts.
func (o *watcher) look(ctx context.Context, conn *pgx.Conn) error {
	before, err := positions(ctx, conn)
	if err != nil {
		return err
	}
	able, err := writers(ctx, conn, before)
	if err != nil {
		return err
	}
	after, err := positions(ctx, conn)
	if err != nil {
		return err
	}
	o.looks.Add(1)
	if maps.Equal(before, after) {
		if problem := judge(before, able); problem != "" {
			o.violations.Add(1)
			o.world.log.Error("two versions are live", "problem", problem)
		}
	}
	return nil
}

// judge says what is wrong, if anything is.
func judge(versions map[string]position, able map[string]bool) string {
	live := ""
	for version, p := range versions {
		if p.role != "Live" {
			continue
		}
		if live != "" {
			return fmt.Sprintf("%s and %s are live in the ledger", live, version)
		}
		live = version
	}
	if live == "" || !versions[live].fenced {
		return ""
	}
	for version, p := range versions {
		if version != live && able[p.app] {
			return fmt.Sprintf("%s is live and %s is fenced, and may write", live, version)
		}
	}
	return ""
}

func positions(ctx context.Context, conn *pgx.Conn) (map[string]position, error) {
	rows, err := conn.Query(ctx, `SELECT v.version, v.role, v.app_role, EXISTS (SELECT FROM nawhas_ledger.stages s
		WHERE s.release = v.release AND s.version = v.version AND s.name = 'Fenced' AND s.finished_at IS NOT NULL) FROM nawhas_ledger.versions v`)
	if err != nil {
		return nil, err
	}
	all := map[string]position{}
	var version string
	var p position
	_, err = pgx.ForEachRow(rows, []any{&version, &p.role, &p.app, &p.fenced}, func() error {
		all[version] = p
		return nil
	})
	return all, err
}

// writers are the roles that may append to the log.
func writers(ctx context.Context, conn *pgx.Conn, versions map[string]position) (map[string]bool, error) {
	var roles []string
	for _, p := range versions {
		roles = append(roles, p.app)
	}
	rows, err := conn.Query(ctx, `SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1) AND has_any_column_privilege(oid, 'public.events', 'INSERT')`, roles)
	if err != nil {
		return nil, err
	}
	able := map[string]bool{}
	var role string
	_, err = pgx.ForEachRow(rows, []any{&role}, func() error {
		able[role] = true
		return nil
	})
	return able, err
}
