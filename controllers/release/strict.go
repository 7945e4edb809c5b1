package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	// lockPatience is how long a switch in mode Strict queues for the log: whoever
	// wants to append meanwhile queues behind it.
	lockPatience = 200 * time.Millisecond
	// lockPause lets writers go on before it queues again.
	lockPause = 300 * time.Millisecond
	// strictRetry is when a switch that timed out is tried again.
	strictRetry = 30 * time.Second
	// leastForPods is the least time in which a pod starts or ends; the API asks for it
	// with replay.strategy Rounds.
	leastForPods = 5 * time.Second
	// reachPause is between two looks at the candidate's checkpoint.
	reachPause = 5 * time.Millisecond
)

// defaultStrictTimeout is the API's default, for objects that were stored before
// it had one.
var defaultStrictTimeout = metav1.Duration{Duration: 3 * time.Second}

// stillAppends says that roles keep their right to append after it was taken.
type stillAppends struct{ roles []string }

func (e *stillAppends) Error() string {
	return fmt.Sprintf("%s can still append to the log after the right was taken, by a grant of another role or a membership; revoke it as the one who granted it", strings.Join(e.roles, ", "))
}

// takeStrictly makes the target live while nobody can append. When that does
// not succeed within strictTimeout, all is as before, and it is tried again
// later.
func (st switchStage) takeStrictly(ctx context.Context, s *scope) (outcome, error) {
	v := s.target
	if problem := s.tooLittleTime(); problem != nil {
		return *problem, nil
	}
	if v.NotBefore != nil && s.now.Before(*v.NotBefore) {
		return waiting(v1alpha1.ReasonStrictTimedOut, fmt.Sprintf("the switch to version %s could not be done within cutover.strictTimeout; tried again at %s",
			v.Version, v.NotBefore.UTC().Format(time.TimeOnly+" MST")), v.NotBefore.Sub(s.now)), nil
	}
	limit := s.strictLimit()
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	attempt := &strictSwitch{switchStage: st, scope: s, limit: limit}
	err := attempt.untilDone(bounded)
	// The answer to a COMMIT that was carried out may be lost.
	if reloadErr := s.reload(ctx); reloadErr != nil {
		s.outdated = true
		return outcome{}, errors.Join(err, reloadErr)
	}
	still, refused := errors.AsType[*stillAppends](err)
	switch {
	case err == nil || s.target.Role == ledger.Live:
		return passed(""), nil
	case refused:
		return blocked(v1alpha1.ReasonOthersCanAppend, still.Error(), pollSlow), nil
	case errors.Is(err, errRoundFailed), errors.Is(err, errUnderWay):
		result, postponeErr := st.postpone(ctx, s, err.Error())
		return result, errors.Join(postponeErr, attempt.forget(ctx))
	case ctx.Err() == nil && (bounded.Err() != nil || errors.Is(err, eventlog.ErrWritersBusy)):
		return st.postpone(ctx, s, fmt.Sprintf("writes would have waited longer than %s: %s", limit, attempt.waitedFor))
	}
	return outcome{}, err
}

// tooLittleTime says so when pods must start or end while writers wait, and the spec
// leaves no time for that: with replay.strategy Follow it asks for none, but the version
// that makes way may project its own events. Nobody is let wait in vain.
func (s *scope) tooLittleTime() *outcome {
	live, limit := s.live(), s.strictLimit()
	if live == nil || !bySelf(live) || limit >= leastForPods || s.plans[s.target.Version].inRounds() || !s.plans[live.Version].leavesWork() {
		return nil
	}
	result := blocked(v1alpha1.ReasonStrictTimedOut, fmt.Sprintf(
		"version %s projects its own events: what it has yet to project is waited for while nobody can append, and its exclusive workloads end; "+
			"cutover.strictTimeout is %s, raise it to at least %s, better 20s", live.Version, limit, leastForPods), 0)
	return &result
}

// leavesWork reports whether a version that projects its own events may have some left
// that pods must be waited for.
func (p *plan) leavesWork() bool {
	return p != nil && (p.Replay.Drained != nil || slices.ContainsFunc(p.Workloads, func(w v1alpha1.Workload) bool { return w.Exclusive }))
}

// postpone has writers wait no more for a while, which begins now: the attempt may
// have taken most of the pass.
func (st switchStage) postpone(ctx context.Context, s *scope, why string) (outcome, error) {
	until := st.Clock.Now().Add(strictRetry)
	if err := s.ledger.Postpone(ctx, s.target, until, why); err != nil {
		return outcome{}, err
	}
	st.event(s, eventWarning, v1alpha1.ReasonStrictTimedOut, fmt.Sprintf("version %s does not go live yet: %s; everything is as before", s.target.Version, why))
	return waiting(v1alpha1.ReasonStrictTimedOut, fmt.Sprintf("%s; everything is as before, and it is tried again at %s", why, until.UTC().Format(time.TimeOnly+" MST")), strictRetry), nil
}

// strictSwitch is one attempt.
type strictSwitch struct {
	switchStage
	*scope
	limit time.Duration
	// waitedFor says what it waits for, should its time be over.
	waitedFor string
	// looked says that it has looked for the Job that drains since it locked the log,
	// and stale is the one that had ended by then.
	looked bool
	stale  types.UID
	// drainedBy is the Job that found nothing left to project.
	drainedBy *batchv1.Job
}

// untilDone queues for the log again and again, because transactions that are
// appending may be long, and nobody else should wait for them.
func (a *strictSwitch) untilDone(ctx context.Context) error {
	for {
		err := a.once(ctx)
		if !errors.Is(err, eventlog.ErrWritersBusy) {
			return err
		}
		a.waitedFor = a.busy(ctx)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lockPause):
		}
	}
}

// once does it all in one transaction of the source, whose session holds the
// lock. If it ends early, for whatever reason, nothing has happened but that
// the Services may lead to the target; upkeep leads them back to what is live.
func (a *strictSwitch) once(ctx context.Context) error {
	return a.ledger.Guard(ctx, func(tx pgx.Tx) error {
		head, err := a.log.Exclude(ctx, tx, lockPatience, a.limit)
		if err != nil {
			return err
		}
		a.looked, a.stale, a.drainedBy = false, "", nil
		if err := a.letThemComplete(ctx, tx); err != nil {
			return err
		}
		if err := a.catchUp(ctx, tx, head); err != nil {
			return err
		}
		if err := a.nobodyCompletes(ctx, tx); err != nil {
			return err
		}
		if err := a.record(ctx, tx, head); err != nil {
			return err
		}
		if err := a.handOver(ctx, tx); err != nil {
			return err
		}
		a.waitedFor = "the API server was slow to change the Services"
		return a.ensureServices(ctx, a.scope, a.target)
	})
}

// record writes the switch into the ledger, and where an application that projects
// its own events has taken its database by now.
func (a *strictSwitch) record(ctx context.Context, tx pgx.Tx, head int64) error {
	self, live := a.plans[a.target.Version].inRounds(), a.live()
	if !self && (live == nil || !bySelf(live)) {
		return a.ledger.SwitchIn(ctx, tx, a.target)
	}
	return a.ledger.SwitchSelfIn(ctx, tx, a.target, head, self)
}

// catchUp has the target's database get everything that the log has, and waits for
// what the live version has yet to do of what it appended.
func (a *strictSwitch) catchUp(ctx context.Context, tx pgx.Tx, head int64) error {
	apply, pause := a.follower(ctx, tx, head), reachPause
	if a.plans[a.target.Version].inRounds() {
		var err error
		if apply, err = a.lastRound(ctx, tx, head); err != nil {
			return err
		}
		pause = roundPause
	}
	for applied, drained := false, false; ; {
		var err error
		if !applied {
			if applied, err = apply(); err != nil {
				return err
			}
		}
		if !drained {
			if drained, err = a.drained(ctx, head); err != nil {
				return err
			}
		}
		if applied && !drained {
			a.waitedFor = "not all is projected that was appended (replay.drained); if its command needs that long when there is nothing to do, raise cutover.strictTimeout"
		}
		if applied && drained {
			if stopped, err := a.stopExclusive(ctx); err != nil || stopped {
				return err
			}
		}
		// The session must not seem idle, and tells whether the lock is still held.
		if _, err := tx.Exec(ctx, "SELECT"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// follower tells when the target's follower has applied everything.
func (a *strictSwitch) follower(ctx context.Context, tx pgx.Tx, head int64) func() (bool, error) {
	return func() (bool, error) {
		position, err := a.ledger.PositionIn(ctx, tx, a.target)
		a.waitedFor = fmt.Sprintf("the database of version %s is at position %d of %d", a.target.Version, position, head)
		return position >= head, err
	}
}

// handOver gives the target the right to append and takes it from all others,
// as one change.
func (a *strictSwitch) handOver(ctx context.Context, tx pgx.Tx) error {
	var others []string
	for _, v := range a.versions {
		if v != a.target && a.canAppend(v) {
			others = append(others, v.AppRole)
		}
	}
	others = append(others, a.formerWriters()...)
	for _, role := range others {
		if err := a.log.ForbidAppending(ctx, tx, role); err != nil {
			return err
		}
	}
	still, err := a.log.Appenders(ctx, tx, others)
	if err != nil {
		return err
	}
	if len(still) > 0 {
		return &stillAppends{roles: still}
	}
	return a.log.AllowAppending(ctx, tx, a.target.AppRole)
}

// busy names the transaction that keeps the log from being locked.
func (a *strictSwitch) busy(ctx context.Context) string {
	holders, err := a.log.Holders(ctx, a.sourcePool)
	if err != nil || len(holders) == 0 {
		return "transactions that append to the log did not end"
	}
	return oldestOf(holders).String() + " has appended to the log and not finished"
}
