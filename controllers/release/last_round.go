package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// drainedStep names the Jobs that wait for what a version has yet to project.
const drainedStep = "drained"

// roundPause is between two looks at the last round.
const roundPause = 25 * time.Millisecond

// completionPause is what an application has at most between the INSERT of an
// event and the UPDATE that completes it.
const completionPause = 100 * time.Millisecond

// errRoundFailed ends a switch whose last round, or what was to be drained
// before, failed. The next pass says more.
var errRoundFailed = errors.New("the last round failed")

// errUnderWay gives a switch up for which somebody was let wait who has still to
// project what was appended before it.
var errUnderWay = errors.New("an append was under way that is completed only now")

// letThemComplete gives those who are in the middle of an append a moment to show
// it. The application completes an event by an UPDATE after its INSERT, which waits
// for the lock as well, and projects and queues it after that: it must be let go on
// first.
func (a *strictSwitch) letThemComplete(ctx context.Context, tx pgx.Tx) error {
	if !a.completesLater() {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(completionPause):
	}
	waiting, err := a.log.Completing(ctx, tx)
	if err == nil && waiting > 0 {
		return eventlog.ErrWritersBusy
	}
	return err
}

// nobodyCompletes asks once more right before the switch, for those that needed
// longer than the pause. Rounds that were made for the attempt stand, so that they are
// not made again before the next one.
func (a *strictSwitch) nobodyCompletes(ctx context.Context, tx pgx.Tx) error {
	if !a.completesLater() {
		return nil
	}
	waiting, err := a.log.Completing(ctx, tx)
	if err == nil && waiting > 0 {
		return errUnderWay
	}
	return err
}

// completesLater reports whether those who append now may still have to complete and
// to project it: a version that projects its own writes, or who was there before.
func (a *strictSwitch) completesLater() bool {
	if live := a.live(); live != nil {
		return bySelf(live)
	}
	return len(a.release.Spec.Source.FormerRoles) > 0 && a.plans[a.target.Version].inRounds()
}

// stopExclusive ends the live version's exclusive workloads, and reports whether
// their pods are gone: from the flip on, what is queued is the other version's.
// Should the switch come to nothing they are started again. Nothing but the number
// of pods is changed: what is started again is to be what was stopped, also where the
// version's template cannot be rendered any more as it was (see strayed).
func (a *strictSwitch) stopExclusive(ctx context.Context) (bool, error) {
	live := a.live()
	if live == nil || !bySelf(live) {
		return true, nil
	}
	p := a.plans[live.Version]
	if p == nil {
		return false, planMissing(live)
	}
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		if !workload.Exclusive {
			continue
		}
		if stopped, err := a.stop(ctx, live, workload); err != nil || !stopped {
			return false, err
		}
	}
	return true, nil
}

// stop scales a workload to nothing, and reports whether it has no pod any more and
// its controller will make none.
func (a *strictSwitch) stop(ctx context.Context, v *ledger.Version, workload *v1alpha1.Workload) (bool, error) {
	deployment, err := a.deploymentOf(ctx, a.scope, v, workload)
	if err != nil {
		return false, err
	}
	if deployment != nil && ptr.Deref(deployment.Spec.Replicas, 1) > 0 {
		a.waitedFor = fmt.Sprintf("exclusive workload %s has not been stopped", workload.Name)
		return false, a.resize(ctx, a.scope, deployment, 0)
	}
	if deployment != nil && !rolledOut(deployment) {
		a.waitedFor = fmt.Sprintf("exclusive workload %s has not been stopped", workload.Name)
		return false, nil
	}
	labels := merged(labelsOf(a.scope, v), map[string]string{v1alpha1.LabelWorkload: workload.Name})
	var pods corev1.PodList
	if err := a.Client.List(ctx, &pods, client.InNamespace(a.release.Namespace), client.MatchingLabels(labels)); err != nil {
		return false, fmt.Errorf("list the pods of workload %s: %w", workload.Name, err)
	}
	for i := range pods.Items {
		if !ended(&pods.Items[i]) {
			a.waitedFor = fmt.Sprintf("pod %s of exclusive workload %s has not ended", pods.Items[i].Name, workload.Name)
			return false, nil
		}
	}
	return true, nil
}

// lastRound applies the rest of the log while nobody can append. Should it not end
// in time it goes on as a round like any other, and the next attempt has less to do.
func (a *strictSwitch) lastRound(ctx context.Context, tx pgx.Tx, head int64) (apply func() (bool, error), err error) {
	d := rounds{a.Reconciler}
	v, err := a.openRound(ctx, d, head)
	if err != nil {
		return nil, err
	}
	return func() (bool, error) {
		a.waitedFor = describeRound(v, "is not done")
		if applied, _, err := d.work(ctx, a.scope, v); err != nil || !applied {
			return false, err
		}
		return true, a.reached(ctx, tx, head)
	}, nil
}

// openRound records the last round, unless nothing is left, and reads the target
// anew. What the transaction is to change is not changed by it.
func (a *strictSwitch) openRound(ctx context.Context, d rounds, head int64) (*ledger.Version, error) {
	if a.target.Checkpoint.Position < head {
		if err := d.record(ctx, a.scope, a.target, head); err != nil {
			return nil, err
		}
	}
	versions, err := a.ledger.Versions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.Version == a.target.Version {
			return v, nil
		}
	}
	return nil, fmt.Errorf("version %s is gone from the ledger", a.target.Version)
}

// reached holds the switch to what the ledger says of the database now.
func (a *strictSwitch) reached(ctx context.Context, tx pgx.Tx, head int64) error {
	position, err := a.ledger.PositionIn(ctx, tx, a.target)
	if err != nil {
		return err
	}
	if position != head {
		return fmt.Errorf("%w: the database is at position %d of %d", errRoundFailed, position, head)
	}
	return nil
}

// drained reports whether the live version has projected all that it appended,
// as far as its command can tell. The Job is one for each end of the log.
//
// What had ended before the log was locked proves nothing: whatever was queued since
// is not in what it saw. So it is made anew. One that still runs then goes on.
func (a *strictSwitch) drained(ctx context.Context, head int64) (bool, error) {
	live := a.drains()
	if live == nil {
		return true, nil
	}
	p := a.plans[live.Version]
	name := objectName(a.release.Name, drainedStep, live.Version, live.Build.String()[:8], strconv.FormatInt(head, 10))
	job := &batchv1.Job{}
	err := a.Client.Get(ctx, client.ObjectKey{Namespace: a.release.Namespace, Name: name}, job)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read Job %s: %w", name, err)
	}
	first := !a.looked
	a.looked = true
	switch {
	case err != nil:
		return false, a.startDraining(ctx, live, p, head)
	case !job.DeletionTimestamp.IsZero() || job.UID == a.stale:
		return false, nil // it is about to be gone
	}
	state, err := a.judgeDraining(ctx, job)
	switch {
	case err != nil:
		return false, err
	case first && (state.done || state.failed):
		a.stale = job.UID
		return false, a.remove(ctx, job)
	case state.failed:
		if err := a.remove(ctx, job); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%w: %s", errRoundFailed, state.message)
	case state.done:
		a.drainedBy = job
	}
	return state.done, nil
}

// judgeDraining judges a Job that drains by its own pods: those of one of that name
// which was removed may still be there.
func (a *strictSwitch) judgeDraining(ctx context.Context, job *batchv1.Job) (verdict, error) {
	var pods corev1.PodList
	if err := a.Client.List(ctx, &pods, client.InNamespace(a.release.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return verdict{}, fmt.Errorf("list the pods of Job %s: %w", job.Name, err)
	}
	own := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, job) })
	return judgeRoundJob(job, own), nil
}

// forget removes the Job that drained for an attempt which came to nothing: whoever was
// let wait may queue something yet.
func (a *strictSwitch) forget(ctx context.Context) error {
	if a.drainedBy == nil {
		return nil
	}
	return a.remove(ctx, a.drainedBy)
}

// drains is the version that may have left something to project and has a command
// that tells, nil when there is none.
func (a *strictSwitch) drains() *ledger.Version {
	// Before the first version there was somebody, too, who may have left something: to a
	// version with a follower that is nothing, which projects from the log alone.
	live := a.live()
	if live == nil && a.plans[a.target.Version].inRounds() {
		live = a.target
	} else if live == nil || !bySelf(live) {
		return nil
	}
	if p := a.plans[live.Version]; p == nil || p.Replay.Drained == nil {
		return nil
	}
	return live
}

// startDraining makes the Job for this end of the log, and ends those for others:
// nobody asks what becomes of them.
func (a *strictSwitch) startDraining(ctx context.Context, live *ledger.Version, p *plan, head int64) error {
	// It may go on until the next attempt is over, which may find it done.
	current := step{of: live, name: drainedStep, side: appSide, command: p.Replay.Drained.Command, spec: v1alpha1.StepSpec{Resources: p.Replay.Drained.Resources},
		timeout: &metav1.Duration{Duration: 2 * (a.limit + strictRetry)}, once: true}
	job, err := a.renderJob(ctx, a.scope, p, current, int(head))
	if err != nil {
		return err
	}
	for i := range a.jobs {
		old := &a.jobs[i]
		if old.Labels[v1alpha1.LabelStage] != drainedStep || old.Annotations[v1alpha1.AnnotationBuild] != live.Build.String() || old.Name == job.Name {
			continue
		}
		if err := a.remove(ctx, old); err != nil {
			return err
		}
	}
	return a.apply(ctx, a.scope, job)
}
