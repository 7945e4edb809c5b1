package release

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

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

// What drains for an attempt that came to nothing ends by itself, or with the next
// one.
func TestWhatDrainedForAnEarlierAttemptIsEnded(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Drained = &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:drained"}}
	})
	w.until("live", isLive("3.1.2"))
	w.must(w.write("3.1.2"))
	var runs func(string) bool
	w.rounds(func(k *kubelet) {
		runs, k.does = k.does, func(stage string) bool { return stage == roundStep }
	})
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Cutover.StrictTimeout = "3.2.0", &metav1.Duration{Duration: 5 * time.Second}
	})
	var first *batchv1.Job
	w.until("put off", func(*v1alpha1.NawhasRelease) bool {
		first = w.stageJob(drainedStep)
		return first != nil && strings.HasSuffix(first.Name, "-11")
	})
	if deadline := ptr.Deref(first.Spec.ActiveDeadlineSeconds, 0); deadline != 70 {
		t.Errorf("it may go on for %d s", deadline)
	}
	w.must(w.write("3.1.2"))
	w.rounds(func(k *kubelet) { k.does = runs })
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.StrictTimeout = &metav1.Duration{Duration: 20 * time.Second}
	})
	w.kubelet.wait(strictRetry)
	w.until("live", isLive("3.2.0"))
	w.kubelet.look()
	for _, job := range w.kubelet.seen.jobs {
		if job.UID == first.UID {
			t.Errorf("Job %s is still there", job.Name)
		}
	}
}

// workers counts the pods of a version's queue.
func (w *world) workers(version string) int {
	var pods corev1.PodList
	w.must(cluster.List(w.t.Context(), &pods, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelWorkload: "queue", v1alpha1.LabelVersion: version}))
	return len(pods.Items)
}

// From the flip on, what is queued is the new version's: the old version's worker
// must be gone by then, and the new one's comes.
func TestTheOldVersionsWorkerIsGoneBeforeTheFlip(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads = append(r.Spec.Workloads, v1alpha1.Workload{Name: "queue", Exclusive: true,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue", Args: []string{"work"}}}}}})
	})
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool { return isLive("3.1.2")(r) && w.workers("3.1.2") == 1 })
	w.must(w.write("3.1.2"))
	w.release("3.2.0")
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		if w.selected("nawhas-api") == "3.2.0" && w.workers("3.1.2") > 0 {
			t.Error("the old version's worker is there after the flip")
		}
		return isLive("3.2.0")(r) && w.workers("3.2.0") == 1
	})
	w.holdsTheLog("3.2.0")
}

// An application that ran before there was a release appends until the first
// version takes over, and then no more.
func TestTheFirstVersionTakesOverFromWhatWasThereBefore(t *testing.T) {
	for name, mode := range map[string]func(*v1alpha1.NawhasRelease){"in rounds": inRounds, "following": storedEvents} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 10)
			former := "former_" + w.source
			w.super("CREATE ROLE %s LOGIN PASSWORD 'secret'", former)
			w.super("GRANT CONNECT ON DATABASE %s TO "+former, w.sourceDatabase)
			postgres.Exec(t, w.sourceDatabase, "GRANT SELECT, INSERT, UPDATE ON stored_events TO "+former, "GRANT USAGE ON SEQUENCE stored_events_id_seq TO "+former)
			w.newRelease(mode, func(r *v1alpha1.NawhasRelease) {
				r.Spec.Source.FormerRoles = []string{former}
				r.Spec.Promotion.Mode = v1alpha1.PromotionManual
			})
			before := w.connect(former, "secret", w.sourceDatabase)
			if name == "in rounds" {
				release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
					return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonMissingRights
				})
				if message := conditionOf(release, v1alpha1.ConditionReplayed).Message; !strings.Contains(message, former) || !strings.Contains(message, "GRANT pg_read_all_stats TO \""+w.source) {
					t.Errorf("it says %s", message)
				}
				w.super("GRANT pg_read_all_stats TO %s", w.source)
			}
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

// The application completes an event after it stored it, and projects it after
// that. What took longer than the pause before the last round is found right before
// the switch, which is put off.
func TestAnAppendThatIsCompletedDuringTheLastRoundPutsTheSwitchOff(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.MaxLag = ptr.To(int64(100))
		r.Spec.Replay.Drained = &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:drained"}}
	})
	w.until("live", isLive("3.1.2"))
	pod := w.workload("3.1.2").Spec.Template
	source, database := w.kubelet.dial(pod, "NAWHAS_SOURCE_URL"), w.kubelet.dial(pod, "NAWHAS_DATABASE_URL")
	var position int64
	completed := make(chan error, 1)
	var once sync.Once
	w.replaying(func(r *aRound) {
		if r.from == 0 { // the first round, before the log is locked
			w.must(source.QueryRow(t.Context(), appendStored).Scan(&position))
			return
		}
		once.Do(func() {
			go func() {
				_, err := source.Exec(t.Context(), "UPDATE stored_events SET meta_data = '[]' WHERE id = $1", position)
				if err == nil {
					_, err = database.Exec(t.Context(), "INSERT INTO applied (position) VALUES ($1)", position)
				}
				completed <- err
			}()
			w.awaitLock("UPDATE stored_events%")
		})
	})
	w.release("3.2.0")
	release := w.until("put off", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonStrictTimedOut
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; release.Status.Live != "3.1.2" || !strings.Contains(message, errUnderWay.Error()) {
		t.Errorf("live is %s, it says %s", release.Status.Live, message)
	}
	if job := w.stageJob(drainedStep); job != nil && job.Labels[v1alpha1.LabelVersion] == "3.1.2" {
		t.Errorf("what drained before it was completed is believed: %+v", job.Status)
	}
	w.must(<-completed)
	w.kubelet.wait(strictRetry + time.Second)
	w.until("live", isLive("3.2.0"))
	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
}

// awaitLock waits until a statement waits for a lock in the source.
func (w *world) awaitLock(statement string) {
	w.t.Helper()
	conn := w.admin(w.sourceDatabase)
	defer func() { _ = conn.Close(context.Background()) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var waits bool
		w.must(conn.QueryRow(w.t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1)`, statement).Scan(&waits))
		if waits {
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("nobody waits with %s", statement)
			return
		}
	}
}

// A version with a follower comes after one that projects itself: what that has in
// its queue is projected first, and its worker is gone before the flip.
func TestAFollowerComesAfterAVersionThatProjectsItself(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Drained = &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:drained"}}
		r.Spec.Workloads = append(r.Spec.Workloads, v1alpha1.Workload{Name: "queue", Exclusive: true,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue", Args: []string{"work"}}}}}})
	})
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool { return isLive("3.1.2")(r) && w.workers("3.1.2") == 1 })
	w.must(w.write("3.1.2"))
	drained := false
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Projection = "3.2.0", v1alpha1.ProjectionFollower
		r.Spec.Replay = v1alpha1.ReplaySpec{Drained: &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:empty"}}}
	})
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		if job := w.stageJob(drainedStep); job != nil && job.Labels[v1alpha1.LabelVersion] == "3.1.2" {
			drained = drained || slices.Contains(job.Spec.Template.Spec.Containers[0].Command, "queue:empty")
		}
		if w.selected("nawhas-api") == "3.2.0" && w.workers("3.1.2") > 0 {
			t.Error("the old version's worker is there after the flip")
		}
		return isLive("3.2.0")(r) && w.workers("3.2.0") == 1
	})
	if !drained {
		t.Error("nobody waited for the old version's queue")
	}
	w.holdsTheLog("3.1.2")
}

// withWorker gives a release a queue's worker, of which one version only has any.
func withWorker(r *v1alpha1.NawhasRelease) {
	r.Spec.Workloads = append(r.Spec.Workloads, v1alpha1.Workload{Name: "queue", Exclusive: true,
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue", Args: []string{"work"}}}}}})
}

// worker is a version's Deployment of the queue's worker.
func (w *world) worker(version string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-queue-" + strings.ReplaceAll(version, ".", "-")}, d))
	return d
}

// keepsWorkers has the pods of workers stay, so that no switch comes to its end, or
// go as they should.
func (w *world) keepsWorkers(keeps bool) {
	w.rounds(func(k *kubelet) {
		k.rolls = func(d *appsv1.Deployment) bool { return !keeps && d.Labels[v1alpha1.LabelWorkload] == "queue" }
	})
}

// A version whose database is not where the spec says is left as it is, but a worker
// that a switch stopped is started again when the switch comes to nothing.
func TestAWorkerIsStartedAgainAlthoughItsDatabaseIsElsewhere(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, withWorker)
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		return isLive("3.1.2")(r) && w.worker("3.1.2").Status.ReadyReplicas == 1
	})
	w.settle()
	before := w.worker("3.1.2").Spec.Template
	empty, err := pgtest.Start()
	w.must(err)
	t.Cleanup(empty.Close)
	empty.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE CREATEDB PASSWORD 'secret'", w.databases))
	w.secret("nawhas-databases", empty.URLAs(w.databases, "secret", "postgres"))
	w.keepsWorkers(true)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Cutover.StrictTimeout = "3.2.0", &metav1.Duration{Duration: 5 * time.Second}
	})
	release := w.until("put off", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonStrictTimedOut
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; !strings.Contains(message, "exclusive workload queue has not been stopped") {
		t.Errorf("it says %s", message)
	}
	if now := w.worker("3.1.2"); ptr.Deref(now.Spec.Replicas, 1) != 1 || !reflect.DeepEqual(now.Spec.Template, before) {
		t.Errorf("there are to be %d workers, and their template is\n%+v\nand was\n%+v", ptr.Deref(now.Spec.Replicas, 1), now.Spec.Template, before)
	}
	w.keepsWorkers(false)
	w.kubelet.wait(strictRetry + time.Second)
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		return isLive("3.2.0")(r) && w.worker("3.2.0").Status.ReadyReplicas == 1
	})
	if n := ptr.Deref(w.worker("3.1.2").Spec.Replicas, 1); n != 0 {
		t.Errorf("there are to be %d workers of the version that made way", n)
	}
}

// What found the queue empty for an attempt that came to nothing proves nothing to the
// next one, although nothing was appended meanwhile: something may have been queued.
func TestAnAttemptLooksAtTheQueueAnew(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, withWorker, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Drained = &v1alpha1.DrainedSpec{Command: []string{"php", "artisan", "queue:drained"}}
	})
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		return isLive("3.1.2")(r) && w.worker("3.1.2").Status.ReadyReplicas == 1
	})
	w.must(w.write("3.1.2"))
	w.keepsWorkers(true)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Cutover.StrictTimeout = "3.2.0", &metav1.Duration{Duration: 5 * time.Second}
	})
	w.until("put off", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonStrictTimedOut
	})
	first := w.stageJob(drainedStep)
	if first == nil || first.Status.CompletionTime == nil {
		t.Fatalf("the Job of the first attempt is %+v", first)
	}
	w.keepsWorkers(false)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.StrictTimeout = &metav1.Duration{Duration: 20 * time.Second}
	})
	w.kubelet.wait(strictRetry + time.Second)
	w.until("live", isLive("3.2.0"))
	if last := w.stageJob(drainedStep); last == nil || last.Name != first.Name || last.UID == first.UID || last.Status.CompletionTime == nil {
		t.Errorf("the Job of the last attempt is %+v", last)
	}
	w.holdsTheLog("3.2.0")
}

// A spec without rounds has three seconds for a switch, in which no pod starts and
// ends: nobody is kept waiting for that again and again.
func TestAFollowerIsGivenTheTimeThatTheVersionBeforeNeeds(t *testing.T) {
	w := withRounds(t, 10)
	w.newRelease(inRounds, withWorker)
	w.until("live with its worker", func(r *v1alpha1.NawhasRelease) bool {
		return isLive("3.1.2")(r) && w.worker("3.1.2").Status.ReadyReplicas == 1
	})
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Projection = "3.2.0", v1alpha1.ProjectionFollower
		r.Spec.Replay, r.Spec.Cutover = v1alpha1.ReplaySpec{}, v1alpha1.CutoverSpec{}
	})
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonStrictTimedOut
	})
	message := conditionOf(release, v1alpha1.ConditionSwitched).Message
	for _, says := range []string{"version 3.1.2 projects its own events", "cutover.strictTimeout is 3s, raise it to at least 5s"} {
		if !strings.Contains(message, says) {
			t.Errorf("it does not say %q: %s", says, message)
		}
	}
	if n := ptr.Deref(w.worker("3.1.2").Spec.Replicas, 1); n != 1 || w.recorded("does not go live yet") {
		t.Errorf("it was tried: there are to be %d workers", n)
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.StrictTimeout = &metav1.Duration{Duration: 20 * time.Second}
	})
	w.until("live", isLive("3.2.0"))
}
