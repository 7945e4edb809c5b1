package release

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
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
	w.beside = &beside{kubelet: &kubelet{world: w, does: elsewhere}}
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

func TestAReleaseInRounds(t *testing.T) {
	w := withRounds(t, 40)
	w.newRelease(inRounds)
	release := w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
	if v := release.Status.Versions[0]; v.Lag != nil || v.Checkpoint != nil {
		t.Errorf("a version that projects its own events is told to lag: %+v", v)
	}
	for range 3 {
		w.must(w.write("3.1.2"))
	}

	w.release("3.2.0")
	release = w.until("live", isLive("3.2.0"))

	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
	w.must(w.write("3.2.0"))
	if err := w.write("3.1.2"); err == nil {
		t.Error("a version that made way appends")
	}
	w.rounded("3.1.2")
	w.holdsTheLog("3.1.2")
	if !isTrue(w.get(), v1alpha1.ConditionRollbackReady) {
		t.Errorf("there is no way back:\n%s", w.told())
	}
	if names := followersOf(w); len(names) != 0 {
		t.Errorf("there are followers: %v", names)
	}
	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
	w.must(w.write("3.1.2"))
	w.rounded("3.2.0")
	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
	_ = release
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

// While clients write without a pause, all that was acknowledged is in both
// databases, once.
func TestWritesGoOnThroughTheRounds(t *testing.T) {
	w := withRounds(t, 200)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.MaxLag = ptr.To(int64(100)) })
	w.until("live", isLive("3.1.2"))
	pod := w.workload("3.1.2").Spec.Template
	source, database := w.kubelet.dial(pod, "NAWHAS_SOURCE_URL"), w.kubelet.dial(pod, "NAWHAS_DATABASE_URL")
	written := 0
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			if err := writeOver(context.Background(), source, database); err != nil {
				if !strings.Contains(err.Error(), "append: ") || !strings.Contains(err.Error(), "permission denied") {
					t.Errorf("after %d writes: %v", written, err)
				}
				return
			}
			written++
		}
	})
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	writing.Wait()
	if written == 0 {
		t.Error("nothing was written")
	}
	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
}

func TestARoundThatFailsHasTheCandidateBuiltAnew(t *testing.T) {
	for name, c := range map[string]struct {
		replays func(*aRound)
		says    string
	}{
		"it ends with 1 half way": {func(r *aRound) { r.fails = true }, "the last words of a round"},
		"it does nothing": {func(r *aRound) {
			r.applies = []int64{}
			_ = r.log.QueryRow(context.Background(), "SELECT count(*) FROM stored_events").Scan(new(int))
		}, "did nothing"},
		"it reads another log": {func(r *aRound) { r.applies = []int64{1, 2, 3} }, "never read its log"},
	} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 10)
			w.replaying(c.replays)
			w.newRelease(inRounds)
			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				stalled := conditionOf(r, v1alpha1.ConditionStalled)
				return stalled.Reason == v1alpha1.ReasonRoundFailed && strings.Contains(stalled.Message, "built anew at")
			})
			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, c.says) {
				t.Errorf("it says %s", message)
			}
			w.replaying(nil)
			w.kubelet.wait(lastRetry)
			w.until("live", isLive("3.1.2"))
			w.holdsTheLog("3.1.2")
		})
	}
}

// What comes after the first round must not begin anew.
func TestARoundThatBeginsAnewIsNoticed(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds)
	w.until("live", isLive("3.1.2"))
	w.must(w.write("3.1.2"))
	w.release("3.2.0")
	rounds := 0
	w.replaying(func(r *aRound) {
		if rounds++; rounds == 1 {
			w.must(w.write("3.1.2"))
			return
		}
		r.empties = true
	})
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonRoundFailed
	})
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "emptied public.applied") || !strings.Contains(message, "--from=$(NAWHAS_REPLAY_FROM)") {
		t.Errorf("it says %s", message)
	}
	if release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("the live version was touched:\n%s", w.told())
	}
}

// A round whose Job is deleted may have begun: nothing is built on it.
func TestARoundWhoseJobIsDeletedIsNotBegunAgain(t *testing.T) {
	w := withStoredEvents(t)
	w.stored(10)
	w.kubelet.does = func(stage string) bool { return stage != roundStep }
	w.newRelease(inRounds)
	var job *batchv1.Job
	w.until("under way", func(*v1alpha1.NawhasRelease) bool {
		w.kubelet.look()
		for i := range w.kubelet.seen.jobs {
			if j := &w.kubelet.seen.jobs[i]; j.Labels[v1alpha1.LabelStage] == roundStep && !ptr.Deref(j.Spec.Suspend, false) {
				job = j
			}
		}
		return job != nil
	})
	if job.Spec.PodFailurePolicy != nil || ptr.Deref(job.Spec.BackoffLimit, 6) != 0 {
		t.Errorf("a pod of it may be tried again: %+v", job.Spec)
	}
	w.must(cluster.Delete(t.Context(), job))
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.Contains(conditionOf(r, v1alpha1.ConditionReady).Message, "its Job was deleted")
	})
	w.kubelet.does = nil
	w.kubelet.wait(lastRetry)
	w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
}

// The replay is shown windows; the log itself it may not even read.
func TestARoundsRoleReadsNoLog(t *testing.T) {
	w := withRounds(t, 10)
	refusals := make(chan error, 10)
	w.newRelease(inRounds)
	w.replaying(func(r *aRound) {
		config := r.log.Config().Copy()
		if !strings.HasPrefix(config.Database, "nawhas_window_") {
			t.Errorf("the log of a round is in %s", config.Database)
		}
		_, err := r.log.Exec(context.Background(), "INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) VALUES ('x', '{}', '[]', now())")
		refusals <- err
		config.Database = w.sourceDatabase
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			refusals <- err
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), "SELECT * FROM stored_events")
		refusals <- err
	})
	w.until("live", isLive("3.1.2"))
	for range 2 {
		if err := <-refusals; err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("a round is told %v", err)
		}
	}
}

func TestWhoCannotBeReleasedInRoundsIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		cause, cure func(*world)
		reason      string
		says        string
	}{
		"a shared login": {
			func(w *world) {
				w.super("CREATE ROLE %s LOGIN", "shared_"+w.source)
				postgres.Exec(w.t, w.sourceDatabase, "GRANT INSERT ON stored_events TO shared_"+w.source)
			},
			func(w *world) {
				postgres.Exec(w.t, w.sourceDatabase, "REVOKE INSERT ON stored_events FROM shared_"+w.source)
			},
			v1alpha1.ReasonOthersCanAppend, "shared_",
		},
		"a second owner": {
			func(w *world) { w.super("CREATE ROLE %s LOGIN IN ROLE "+w.source, "second_"+w.source) },
			func(w *world) { w.super("DROP ROLE %s", "second_"+w.source) },
			v1alpha1.ReasonOthersCanAppend, "(owns the log)",
		},
		"a DATABASE_URL": {
			func(w *world) {
				w.update(func(r *v1alpha1.NawhasRelease) {
					r.Spec.Env = []corev1.EnvVar{{Name: "DATABASE_URL", Value: "postgres://elsewhere/x"}}
				})
			},
			func(w *world) {
				w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Env = []corev1.EnvVar{{Name: "DATABASE_URL"}} })
			},
			v1alpha1.ReasonUnsuitable, "spec.env set DATABASE_URL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 3)
			w.newRelease(inRounds)
			c.cause(w)
			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				return conditionOf(r, v1alpha1.ConditionStalled).Reason == c.reason
			})
			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, c.says) {
				t.Errorf("it says %s", message)
			}
			c.cure(w)
			w.until("live", isLive("3.1.2"))
		})
	}
}

// A warm version whose round failed cannot come back, and says so; what is live
// goes on.
func TestAFailedRoundOfAWarmVersionEndsTheWayBack(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds)
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.must(w.write("3.2.0"))
	w.replaying(func(r *aRound) { r.fails = true })
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		w.kubelet.wait(warmPause)
		return conditionOf(r, v1alpha1.ConditionRollbackReady).Reason == v1alpha1.ReasonRoundFailed
	})
	if !isTrue(release, v1alpha1.ConditionReady) || !strings.Contains(conditionOf(release, v1alpha1.ConditionRollbackReady).Message, "cannot come back") {
		t.Errorf("it says\n%s", w.told())
	}
	w.must(w.write("3.2.0"))
}

// What the version that makes way has in its queue is projected before the flip.
func TestTheQueueOfTheOldVersionIsDrainedBeforeTheFlip(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Drained = &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:drained"}}
	})
	w.until("live", isLive("3.1.2"))
	w.must(w.write("3.1.2"))
	w.rounds(func(k *kubelet) { k.refuse = map[string]int32{drainedStep: 1} })
	w.release("3.2.0")
	release := w.until("put off", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonStrictTimedOut
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; release.Status.Live != "3.1.2" || !strings.Contains(message, "the last words of drained") {
		t.Errorf("live is %s, it says %s", release.Status.Live, message)
	}
	w.must(w.write("3.1.2"))
	w.rounds(func(k *kubelet) { k.refuse = nil })
	w.kubelet.wait(strictRetry + time.Second)
	w.until("live", isLive("3.2.0"))
	w.holdsTheLog("3.2.0")
	job := w.stageJob(drainedStep)
	if job == nil || job.Labels[v1alpha1.LabelVersion] != "3.1.2" || !strings.HasSuffix(w.kubelet.variable(job.Spec.Template, "NAWHAS_DATABASE_USER"), "3_1_2_app") {
		t.Errorf("the Job is %+v", job)
	}
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

// An application that ran before there was a release appends until the first
// version takes over, and then no more.
func TestTheFirstVersionTakesOverFromWhatWasThereBefore(t *testing.T) {
	for name, mode := range map[string]func(*v1alpha1.NawhasRelease){"in rounds": inRounds, "following": storedEvents} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 10)
			former := "former_" + w.source
			w.super("CREATE ROLE %s LOGIN PASSWORD 'secret'", former)
			postgres.Exec(t, w.sourceDatabase, "GRANT SELECT, INSERT, UPDATE ON stored_events TO "+former, "GRANT USAGE ON SEQUENCE stored_events_id_seq TO "+former)
			w.newRelease(mode, func(r *v1alpha1.NawhasRelease) {
				r.Spec.Source.FormerRoles = []string{former}
				r.Spec.Promotion.Mode = v1alpha1.PromotionManual
			})
			before := w.connect(former, "secret", w.sourceDatabase)
			w.until("ready", func(r *v1alpha1.NawhasRelease) bool {
				_, err := before.Exec(t.Context(), appendStored)
				w.must(err)
				return conditionOf(r, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonAwaitingApproval
			})
			w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
			w.until("live", isLive("3.1.2"))
			if _, err := before.Exec(t.Context(), appendStored); err == nil {
				t.Error("what was there before goes on appending")
			}
			if name == "in rounds" {
				w.holdsTheLog("3.1.2")
			}
		})
	}
}

// The operator is ended at every one of its side effects, as in
// TestAnOperatorThatEndsAtAnyWriteIsReplaced, on the way to the next version; with
// NAWHAS_CRASH=all on the way to the first one, too.
func TestAnOperatorThatEndsInARoundIsReplaced(t *testing.T) {
	for name, after := range crashes()[v1alpha1.CutoverStrict] {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 20)
			w.newRelease(inRounds)
			crashes := 0
			if os.Getenv("NAWHAS_CRASH") == "all" {
				crashes = w.crashOn(isLive("3.1.2"), after)
				w.restart(cluster)
			} else {
				w.until("live", isLive("3.1.2"))
			}
			w.must(w.write("3.1.2"))
			w.release("3.2.0")
			crashes += w.crashOn(isLive("3.2.0"), after)
			if crashes < 40 {
				t.Errorf("only %d crashes", crashes)
			}
			w.holdsTheLog("3.2.0")
			w.must(w.write("3.2.0"))
			w.restart(cluster)
			w.rounded("3.1.2")
			w.holdsTheLog("3.1.2")
			w.holdsTheLog("3.2.0")
		})
	}
}

func TestWhenLittleEnoughIsLeft(t *testing.T) {
	at := time.Now()
	round := func(from, until int64, took time.Duration) ledger.Round {
		return ledger.Round{Number: 2, From: from, Until: until, StartedAt: at, FinishedAt: ptr.To(at.Add(took))}
	}
	reported := ledger.Checkpoint{Position: 100, ReportedAt: &at}
	for name, c := range map[string]struct {
		v    ledger.Version
		head int64
		near bool
	}{
		"nothing in the log":              {ledger.Version{}, 0, true},
		"nothing applied yet":             {ledger.Version{}, 3, false},
		"nothing left":                    {ledger.Version{Checkpoint: reported}, 100, true},
		"few left":                        {ledger.Version{Checkpoint: reported}, 110, true},
		"many left and no round":          {ledger.Version{Checkpoint: reported}, 150, false},
		"no more than the last quick one": {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, time.Second)}}, 150, true},
		"more than the last quick one":    {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, time.Second)}}, 151, false},
		"no more than the last slow one":  {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, 6*time.Second)}}, 150, false},
	} {
		if got := nearEnough(&c.v, c.head, 10, 10*time.Second); got != c.near {
			t.Errorf("%s: %v", name, got)
		}
	}
	slow := []ledger.Round{{Number: 4, From: 100, Until: 200, StartedAt: at, FinishedAt: ptr.To(at.Add(9 * time.Second))}, {Number: 3, From: 0, Until: 100}}
	if stagnant(slow, 10*time.Second) == "" {
		t.Error("rounds that do not shrink are not told")
	}
	slow[1].Until = 300
	if said := stagnant(slow, 10*time.Second); said != "" {
		t.Errorf("rounds that shrink are told: %s", said)
	}
}
