package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

	// faults are those that happened, and late the writes of operators that had
	// been superseded.
	faults map[fault]int
	late   int

	requests, failed, acknowledged int64
	// What must not be: effects of events missing, too many or in the wrong order,
	// rows with other values than the log's, own writes not seen, and how often two
	// versions were seen live, or an exclusive workload in two.
	lost, duplicated, reordered, wrong, stale, twoLive, twoWorkers int64
	// problem is why the release, or the run itself, did not come to its end.
	problem error
}

func (v *verdict) good() bool {
	return v.problem == nil && v.lost+v.duplicated+v.reordered+v.wrong+v.stale+v.twoLive+v.twoWorkers == 0
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
	watcher, watched := w.watch(watching), time.Now()
	v.problem = w.underLoad(ctx, v)
	stop()
	<-watcher.done
	v.twoLive, v.twoWorkers = watcher.violations.Load(), watcher.workers.Load()
	if v.problem == nil {
		v.problem = watcher.problem(time.Since(watched))
	}
	if v.problem == nil {
		v.problem = w.audit(ctx, v)
	}
	v.lost, v.duplicated = v.lost+w.came.Lost, v.duplicated+w.came.Duplicated
	v.reordered, v.wrong = v.reordered+w.came.Reordered, v.wrong+w.came.Wrong
	if v.problem == nil {
		v.problem = w.remove(ctx)
	}
	w.book.Disarm()
	v.met, v.hit = w.book.Met(), w.book.Hit()
	w.mu.Lock()
	v.faults, v.late = maps.Clone(w.faults), w.late
	w.mu.Unlock()
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
	running := <-clients
	if running == nil && err == nil {
		return errors.New("no clients came")
	}
	if running != nil {
		if err == nil {
			err = w.serves(ctx, running)
		}
		noticed := running.Stop()
		v.requests, v.failed, v.acknowledged, v.stale = noticed.Requests, noticed.Failed, noticed.Acknowledged, noticed.Stale
		for _, failure := range noticed.Failures {
			w.log.Info("failed request", "request", failure)
		}
	}
	return err
}

// serves waits until clients write again: the version that is live at the end is
// the only one that can.
func (w *world) serves(ctx context.Context, running *load.Load) error {
	before := running.Acknowledged()
	return w.within(ctx, time.Minute, "written to", func(*v1alpha1.NawhasRelease) bool { return running.Acknowledged() > before })
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
	for i, database := range kept {
		// The live one, and those that may have to take its place.
		if i == 0 || w.plan.window == time.Hour && i <= int(w.plan.warm) {
			if err := w.current(ctx, database); err != nil {
				return err
			}
		}
		if err := w.auditOne(ctx, database); err != nil {
			return err
		}
	}
	return nil
}

// auditLive audits what is live in the middle of a run, while clients write: by
// the end of it the database may be gone.
func (w *world) auditLive(ctx context.Context) error {
	kept, err := w.kept(ctx)
	if err != nil {
		return err
	}
	return w.auditOne(ctx, kept[0])
}

// auditOne audits a database and adds what it finds, once Postgres is there. A
// version whose time is over may be on its way out.
func (w *world) auditOne(ctx context.Context, database string) error {
	var findings audit.Findings
	err := until(ctx, time.Minute, "audited", func() (bool, error) {
		var err error
		if findings, err = audit.Run(ctx, w.postgres.URL("log"), w.postgres.URL(database)); err == nil {
			return true, nil
		}
		if kept, keptErr := w.kept(ctx); keptErr == nil && !slices.Contains(kept, database) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", database, err)
	}
	w.log.Info("audit", "database", database, "findings", findings)
	w.came.Lost, w.came.Duplicated = w.came.Lost+findings.Lost, w.came.Duplicated+findings.Duplicated
	w.came.Reordered, w.came.Wrong = w.came.Reordered+findings.Reordered, w.came.Wrong+findings.Wrong
	return nil
}

// kept are the databases of the version that is live, and of those that were,
// the last one first.
func (w *world) kept(ctx context.Context) ([]string, error) {
	var kept []string
	err := w.asks(ctx, &kept, `SELECT array_agg(database::text ORDER BY role = 'Live' DESC, warm_since DESC) FROM nawhas_ledger.versions
		WHERE role IN ('Live', 'Warm') HAVING bool_or(role = 'Live')`)
	return kept, err
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
