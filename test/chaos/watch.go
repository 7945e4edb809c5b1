package main

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// watcher looks, many times a second and past all proxies, whether two versions
// are live: two in the ledger, or one that is fenced off and may write, or still
// does, or that clients are led to. One that is live and may not write is no
// better, nor an exclusive workload that runs in two versions.
type watcher struct {
	world *world
	// violations are how often they were, workers how often an exclusive workload ran
	// in two versions, and looks how often it looked.
	violations, workers, looks atomic.Int64
	done                       chan struct{}
	// blind is why the last session ended.
	blind error
}

// eachService is how many looks there are to one at the Service.
const eachService = 10

func (w *world) watch(ctx context.Context) *watcher {
	o := &watcher{world: w, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for ctx.Err() == nil {
			// The ledger is not there yet, or Postgres is away.
			o.blind = o.session(ctx)
			_ = sleep(ctx, 100*time.Millisecond)
		}
	}()
	return o
}

// problem is that it looked too rarely to have seen anything: less than once a
// second, of thirty.
func (o *watcher) problem(took time.Duration) error {
	if looks := o.looks.Load(); looks < int64(took/time.Second) {
		return fmt.Errorf("the watcher looked %d times in %s: %w", looks, took.Round(time.Second), o.blind)
	}
	return nil
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
	role             string
	switched, fenced bool
	app              string
}

// seen is what versions do, whatever the ledger says.
type seen struct {
	// able are the app roles that may append, and appending those of a transaction
	// that has.
	able, appending map[string]bool
	// served is the version that the Service leads to, empty when that is not known. In
	// mode Strict it is not asked: there the Service leads to the version that becomes
	// live before that is committed, and for a while after an attempt that came to nothing.
	served string
	// excused are app roles that somebody gave a right which the operator has yet to
	// take.
	excused map[string]bool
}

// look reads the ledger before and after the rights, because they do not change
// together: only what was so all the time counts.
func (o *watcher) look(ctx context.Context, conn *pgx.Conn) error {
	o.lookAtWorkers()
	overlooked := o.world.overlooked()
	before, err := positions(ctx, conn)
	if err != nil {
		return err
	}
	now, err := o.see(ctx, conn, before)
	if err != nil {
		return err
	}
	after, err := positions(ctx, conn)
	if err != nil {
		return err
	}
	o.looks.Add(1)
	maps.Copy(overlooked, o.world.overlooked())
	now.excused = overlooked
	if maps.Equal(before, after) {
		if problem := judge(before, now); problem != "" {
			o.violations.Add(1)
			o.world.log.Error("two versions are live", "problem", problem)
		}
	}
	return nil
}

func (o *watcher) see(ctx context.Context, conn *pgx.Conn, versions map[string]position) (seen, error) {
	var now seen
	var roles []string
	for _, p := range versions {
		roles = append(roles, p.app)
	}
	var err error
	if now.able, err = among(ctx, conn, able, roles); err != nil {
		return now, err
	}
	if now.appending, err = among(ctx, conn, appending, roles); err != nil {
		return now, err
	}
	if o.looks.Load()%eachService == 0 && o.world.plan.mode != v1alpha1.CutoverStrict {
		now.served, _ = o.world.served(ctx) // the API server may be away
	}
	return now, nil
}

// served is the version that the Service leads to.
func (w *world) served(ctx context.Context) (string, error) {
	found := &corev1.Service{}
	err := w.cluster.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: service}, found)
	return found.Spec.Selector[v1alpha1.LabelVersion], err
}

// judge says what is wrong, if anything is.
func judge(versions map[string]position, now seen) string {
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
	if live == "" {
		return ""
	}
	if versions[live].switched && now.served != "" && now.served != live {
		return fmt.Sprintf("%s is live and the Service leads to %s", live, now.served)
	}
	if !versions[live].fenced {
		return ""
	}
	if !now.able[versions[live].app] {
		return fmt.Sprintf("%s is live and may not write", live)
	}
	for version, p := range versions {
		switch {
		case version == live || now.excused[p.app]:
		case now.able[p.app]:
			return fmt.Sprintf("%s is live and %s is fenced, and may write", live, version)
		case now.appending[p.app]:
			return fmt.Sprintf("%s is live and %s is fenced, and has appended and not ended", live, version)
		}
	}
	return ""
}

func positions(ctx context.Context, conn *pgx.Conn) (map[string]position, error) {
	rows, err := conn.Query(ctx, `SELECT v.version, v.role, v.app_role, 'Switched' = ANY (passed), 'Fenced' = ANY (passed) FROM nawhas_ledger.versions v,
		LATERAL (SELECT ARRAY(SELECT s.name FROM nawhas_ledger.stages s WHERE s.release = v.release AND s.version = v.version AND s.finished_at IS NOT NULL) AS passed) stages`)
	if err != nil {
		return nil, err
	}
	all := map[string]position{}
	var version string
	var p position
	_, err = pgx.ForEachRow(rows, []any{&version, &p.role, &p.app, &p.switched, &p.fenced}, func() error {
		all[version] = p
		return nil
	})
	return all, err
}

// Which of the app roles may append, and which of them have a session with a
// transaction that has: an attempt to append that is refused takes the lock for
// a moment too, but no transaction's number.
const (
	able      = `SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1) AND has_any_column_privilege(oid, 'public.events', 'INSERT')`
	appending = `SELECT DISTINCT app FROM unnest($1::text[]) app
		JOIN pg_roles login ON login.rolname = app OR 'role=' || app = ANY (login.rolconfig)
		JOIN pg_stat_activity a ON a.usesysid = login.oid AND a.backend_xid IS NOT NULL
		JOIN pg_locks l ON l.pid = a.pid AND l.granted AND l.mode = 'RowExclusiveLock' AND l.relation = 'public.events'::regclass`
)

// among are the roles that a question is true of.
func among(ctx context.Context, conn *pgx.Conn, question string, roles []string) (map[string]bool, error) {
	rows, err := conn.Query(ctx, question, roles)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	var role string
	_, err = pgx.ForEachRow(rows, []any{&role}, func() error {
		found[role] = true
		return nil
	})
	return found, err
}
