package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// inRounds is a release of an application that projects its own events and
// whose replay knows no end.
func inRounds(r *v1alpha1.NawhasRelease) {
	storedEvents(r)
	r.Spec.Replay.Strategy, r.Spec.Projection = v1alpha1.ReplayRounds, v1alpha1.ProjectionBySelf
	r.Spec.Replay.Command = []string{"php", "artisan", "event-sourcing:replay", "-n", "--from=$(NAWHAS_REPLAY_FROM)"}
	r.Spec.Cutover.Mode, r.Spec.Cutover.StrictTimeout = v1alpha1.CutoverStrict, &metav1.Duration{Duration: 20 * time.Second}
	r.Spec.Cutover.MaxLag = ptr.To(int64(0))
}

// withRounds is a world with a log of so many stored events, in which Jobs of
// rounds run while the operator makes its pass.
func withRounds(t *testing.T, events int) *world {
	t.Helper()
	w := withStoredEvents(t)
	w.stored(events)
	elsewhere := func(stage string) bool { return stage == roundStep || stage == drainedStep }
	w.kubelet.does = func(stage string) bool { return !elsewhere(stage) }
	queue := func(d *appsv1.Deployment) bool { return d.Labels[v1alpha1.LabelWorkload] == "queue" }
	w.kubelet.rolls = func(d *appsv1.Deployment) bool { return !queue(d) }
	w.beside = &beside{kubelet: &kubelet{world: w, does: elsewhere, rolls: queue}}
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
			w.rounds(func(k *kubelet) {
				k.look()
				for i := range k.seen.jobs {
					k.run(&k.seen.jobs[i])
				}
				for i := range k.seen.deployments {
					k.roll(&k.seen.deployments[i])
				}
			})
		}
	})
	t.Cleanup(func() {
		close(done)
		working.Wait()
	})
	return w
}

// beside is a kubelet that works while the operator makes its pass.
type beside struct {
	sync.Mutex
	kubelet *kubelet
}

// rounds looks at the kubelet of rounds, or changes what it does, between two
// of its own looks.
func (w *world) rounds(do func(*kubelet)) {
	w.beside.Lock()
	defer w.beside.Unlock()
	do(w.beside.kubelet)
}

// replaying changes how rounds replay, nil for as they should.
func (w *world) replaying(how func(*aRound)) { w.rounds(func(k *kubelet) { k.replays = how }) }

// stored appends events as the log's owner.
func (w *world) stored(events int) {
	w.t.Helper()
	conn := w.connect(w.source, "secret", w.sourceDatabase)
	for range events {
		_, err := conn.Exec(w.t.Context(), appendStored)
		w.must(err)
	}
	w.must(conn.Close(w.t.Context()))
}

// aRound is what a round's command does.
type aRound struct {
	from    int64
	log, db *pgx.Conn
	// applies are the positions that it found.
	applies []int64
	empties bool
	fails   bool
}

// round does what the stock command does with the log that it is shown, and
// reports whether it ends with 0.
func (k *kubelet) round(template corev1.PodTemplateSpec) bool {
	k.t.Helper()
	from, err := strconv.ParseInt(k.variable(template, "NAWHAS_REPLAY_FROM"), 10, 64)
	k.must(err)
	r := &aRound{from: from, log: k.dial(template, "NAWHAS_SOURCE_URL"), db: k.dial(template, "NAWHAS_DATABASE_URL"), empties: from == 0}
	defer func() { _ = r.log.Close(context.Background()); _ = r.db.Close(context.Background()) }()
	if k.replays != nil {
		k.replays(r)
	}
	if r.log != nil && !r.log.IsClosed() && r.applies == nil {
		rows, err := r.log.Query(k.t.Context(), "SELECT id FROM stored_events WHERE id >= $1 ORDER BY id", from)
		k.must(err)
		r.applies, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		k.must(err)
		k.must(r.log.Close(k.t.Context()))
	}
	if r.empties {
		_, err := r.db.Exec(k.t.Context(), "TRUNCATE applied")
		k.must(err)
	}
	for i, position := range r.applies {
		if r.fails && i == len(r.applies)/2 {
			return false
		}
		_, err := r.db.Exec(k.t.Context(), "INSERT INTO applied (position) VALUES ($1)", position)
		k.must(err)
	}
	return !r.fails
}

// write is a request to a version's pods: an event, and its projection in a
// transaction of its own, as the application has it.
func (w *world) write(version string) error {
	pod := w.workload(version).Spec.Template
	source, database := w.kubelet.dial(pod, "NAWHAS_SOURCE_URL"), w.kubelet.dial(pod, "NAWHAS_DATABASE_URL")
	defer func() { _ = source.Close(context.Background()); _ = database.Close(context.Background()) }()
	return writeOver(w.t.Context(), source, database)
}

func writeOver(ctx context.Context, source, database *pgx.Conn) error {
	var position int64
	if err := source.QueryRow(ctx, appendStored).Scan(&position); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if _, err := database.Exec(ctx, "INSERT INTO applied (position) VALUES ($1)", position); err != nil {
		return fmt.Errorf("project: %w", err)
	}
	return nil
}

// holdsTheLog checks that a version's database has every event up to a position
// of the log once, in the log's order, and no other.
func (w *world) holdsTheLog(version string) {
	w.t.Helper()
	read := func(database, query string) []int64 {
		conn := w.admin(database)
		defer func() { _ = conn.Close(context.Background()) }()
		rows, err := conn.Query(w.t.Context(), query)
		w.must(err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		w.must(err)
		return found
	}
	log := read(w.sourceDatabase, "SELECT id FROM stored_events ORDER BY id")
	applied := read(w.prefix+strings.ReplaceAll(version, ".", "_"), "SELECT position FROM applied ORDER BY position")
	if !slices.Equal(log, applied) {
		w.t.Errorf("the log holds %d events and the database of %s %d: %v", len(log), version, len(applied), differing(log, applied))
	}
}

func differing(one, other []int64) []int64 {
	counts := map[int64]int{}
	for _, p := range one {
		counts[p]++
	}
	for _, p := range other {
		counts[p]--
	}
	var found []int64
	for p, n := range counts {
		if n != 0 {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return found
}

// rounded waits until the warm version has every event.
func (w *world) rounded(version string) {
	w.t.Helper()
	w.until("warm and current", func(r *v1alpha1.NawhasRelease) bool {
		w.kubelet.wait(warmPause)
		for _, v := range r.Status.Versions {
			if v.Version == version {
				return v.Role == v1alpha1.RoleWarm && v.Lag != nil && *v.Lag == 0
			}
		}
		return false
	})
}

func followersOf(w *world) []string {
	w.kubelet.look()
	var names []string
	for _, d := range w.kubelet.seen.deployments {
		if d.Labels[v1alpha1.LabelStage] == followerName {
			names = append(names, d.Name)
		}
	}
	return names
}

func (w *world) stageJob(stage string) *batchv1.Job {
	w.kubelet.look()
	for i := range w.kubelet.seen.jobs {
		if w.kubelet.seen.jobs[i].Labels[v1alpha1.LabelStage] == stage {
			return &w.kubelet.seen.jobs[i]
		}
	}
	return nil
}
