package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/load"
	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// verdict is what came of one run.
type verdict struct {
	plan plan
	took time.Duration
	// met are the points that were met, and hit where programs ended.
	met []string
	hit []killpoint.Target

	requests, failed, acknowledged int64
	// What must not be: effects of events missing, too many or in the wrong order,
	// rows with other values than the log's, own writes not seen, and how often two
	// versions were seen live.
	lost, duplicated, reordered, wrong, stale, twoLive int64
	// problem is why the release, or the run itself, did not come to its end.
	problem error
}

func (v *verdict) good() bool {
	return v.problem == nil && v.lost+v.duplicated+v.reordered+v.wrong+v.stale+v.twoLive == 0
}

// isStuck tells whether the release did not come to rest.
func (v *verdict) isStuck() bool {
	_, is := errors.AsType[*stuck](v.problem)
	return is
}

// perform makes a run and judges it.
func perform(ctx context.Context, c *cluster, p programs, pl plan, folder string) *verdict {
	v := &verdict{plan: pl}
	started := time.Now()
	defer func() { v.took = time.Since(started) }()
	w, err := build(ctx, c, p, pl, folder)
	if err != nil {
		v.problem = err
		return v
	}
	defer w.close()
	watching, stop := context.WithCancel(ctx)
	watcher := w.watch(watching)
	v.problem = w.underLoad(ctx, v)
	stop()
	<-watcher.done
	v.twoLive = watcher.violations.Load()
	if v.problem == nil {
		v.problem = w.audit(ctx, v)
	}
	if v.problem == nil {
		v.problem = w.remove(ctx)
	}
	w.book.Disarm()
	v.met, v.hit = w.book.Met(), w.book.Hit()
	if v.problem != nil {
		w.log.Error("problem", "error", v.problem)
	}
	return v
}

// underLoad makes the run while clients read and write.
func (w *world) underLoad(ctx context.Context, v *verdict) error {
	clients := make(chan *load.Load, 1)
	loading, stop := context.WithCancel(ctx)
	go func() {
		defer close(clients)
		err := until(loading, convergence, "live", func() (bool, error) {
			found, err := w.get(loading)
			return err == nil && found.Status.Live != "", err
		})
		if err != nil {
			return
		}
		running, err := w.startLoad(ctx)
		if err != nil {
			w.log.Error("start the clients", "error", err)
			return
		}
		clients <- running
	}()
	err := w.run(ctx)
	stop()
	if running := <-clients; running != nil {
		noticed := running.Stop()
		v.requests, v.failed, v.acknowledged, v.stale = noticed.Requests, noticed.Failed, noticed.Acknowledged, noticed.Stale
		for _, failure := range noticed.Failures {
			w.log.Info("failed request", "request", failure)
		}
	}
	return err
}

// audit compares the list of acknowledged writes and the databases that are kept
// current with the log, in plain SQL and without the engine.
func (w *world) audit(ctx context.Context, v *verdict) error {
	writes, err := audit.Acknowledged(ctx, w.postgres.URL("log"), w.acknowledged(), 0)
	if err != nil {
		return err
	}
	v.lost += writes.Lost
	kept, err := w.kept(ctx)
	if err != nil {
		return err
	}
	for database, role := range kept {
		if role == v1alpha1.RoleLive {
			if err := w.current(ctx, database); err != nil {
				return err
			}
		}
		findings, err := audit.Run(ctx, w.postgres.URL("log"), w.postgres.URL(database))
		if err != nil {
			// A version whose time is over may be on its way out.
			if now, getErr := w.kept(ctx); getErr == nil && now[database] == "" {
				continue
			}
			return fmt.Errorf("audit %s: %w", database, err)
		}
		w.log.Info("audit", "database", database, "findings", findings)
		v.lost, v.duplicated = v.lost+findings.Lost, v.duplicated+findings.Duplicated
		v.reordered, v.wrong = v.reordered+findings.Reordered, v.wrong+findings.Wrong
	}
	return nil
}

// kept are the databases of versions that are, or were, live.
func (w *world) kept(ctx context.Context) (map[string]v1alpha1.VersionRole, error) {
	found, err := w.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the release: %w", err)
	}
	kept := map[string]v1alpha1.VersionRole{}
	for _, version := range found.Status.Versions {
		if version.Role == v1alpha1.RoleLive || version.Role == v1alpha1.RoleWarm {
			kept[version.Database] = version.Role
		}
	}
	return kept, nil
}

// current waits until a database has all events of the log.
func (w *world) current(ctx context.Context, database string) error {
	source, err := w.source(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	conn, err := pgx.Connect(ctx, w.postgres.URL(database))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", database, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var head, at int64
	if err := source.QueryRow(ctx, "SELECT max(position) FROM events").Scan(&head); err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	what := "current in " + database
	err = until(ctx, time.Minute, what, func() (bool, error) {
		return at >= head, conn.QueryRow(ctx, "SELECT position FROM checkpoint").Scan(&at)
	})
	if err != nil {
		return &stuck{what: what, told: fmt.Sprintf("the log is at %d, the database at %d", head, at)}
	}
	return nil
}

// remove deletes the release and checks that nothing is left but what its policy
// keeps.
func (w *world) remove(ctx context.Context) error {
	found, err := w.get(ctx)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if err := w.cluster.client.Delete(ctx, found); err != nil {
		return fmt.Errorf("delete the release: %w", err)
	}
	err = until(ctx, convergence, "deleted", func() (bool, error) {
		_, err := w.get(ctx)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return &stuck{what: "deleted", told: told(found)}
	}
	return w.leftBehind(ctx)
}

// leftBehind checks what a deleted release has left on the servers.
func (w *world) leftBehind(ctx context.Context) error {
	source, err := w.source(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	var databases, able int
	err = source.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'log', 'template0', 'template1')),
		(SELECT count(*) FROM pg_roles WHERE NOT rolsuper AND rolname <> 'source' AND rolname NOT LIKE 'pg\_%' AND has_any_column_privilege(oid, 'public.events', 'INSERT'))`).Scan(&databases, &able)
	switch {
	case err != nil:
		return fmt.Errorf("look what is left: %w", err)
	case able > 0:
		return fmt.Errorf("the release is deleted and %d roles may still append to the log", able)
	case w.plan.policy == v1alpha1.DeletionDelete && databases > 0:
		return fmt.Errorf("the release is deleted with its databases, and %d are left", databases)
	case w.plan.policy == v1alpha1.DeletionRetain && databases == 0:
		return fmt.Errorf("the release is deleted, and its databases are gone too")
	}
	return nil
}

// folderOf is where the logs of a run are.
func folderOf(seed uint64) string { return fmt.Sprintf("seed-%03d", seed) }
