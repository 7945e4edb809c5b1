package release

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// roundStep names the Jobs that replay one round.
const roundStep = "round"

// rounds brings a version's database up to the end of the log, one part of it
// after the other. Whoever comes after a crash goes on from the ledger, in which
// a round is recorded before anything is made for it.
type rounds struct{ *Reconciler }

// advance does what can be done now, and passes when the database is near enough
// to the end of the log for the last round.
func (d rounds) advance(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	if v.Checkpoint.Problem != nil {
		return *s.stuckAt(v), nil
	}
	if last := v.LastRound(); last != nil && last.FinishedAt == nil {
		return d.goOn(ctx, s, v)
	}
	if s.near(v) {
		return passed(""), nil
	}
	if err := d.begin(ctx, s, v); err != nil {
		return outcome{}, err
	}
	return d.goOn(ctx, s, s.known(v))
}

// goOn brings the round that is under way to its end, if it is there.
func (d rounds) goOn(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	done, result, err := d.work(ctx, s, v)
	if err != nil || !done {
		return result, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	v = s.known(v)
	if v.Checkpoint.Problem != nil {
		return *s.stuckAt(v), nil
	}
	if message := stagnant(v.Rounds, s.strictLimit()); message != "" {
		return blocked(v1alpha1.ReasonRoundsDoNotShrink, message, pollFast), nil
	}
	return waiting(v1alpha1.ReasonReplaying, describeRound(v, "is done"), pollFast), nil
}

// begin draws a watermark and records the round that ends there.
func (d rounds) begin(ctx context.Context, s *scope, v *ledger.Version) error {
	bounded, cancel := context.WithTimeout(ctx, watermarkPatience)
	defer cancel()
	watermark, err := s.log.Watermark(bounded, s.sourcePool)
	if err != nil {
		return s.onSource(err)
	}
	if watermark <= v.Checkpoint.Position {
		return s.reload(ctx)
	}
	if err := d.record(ctx, s, v, watermark); err != nil {
		return err
	}
	return s.reload(ctx)
}

// record writes the intent into the ledger, with the tables as they are.
func (d rounds) record(ctx context.Context, s *scope, v *ledger.Version, until int64) error {
	next := ledger.Round{Number: 1, From: v.Checkpoint.Position, Until: until}
	if last := v.LastRound(); last != nil {
		next.Number = last.Number + 1
	}
	var err error
	if next.Tables, err = d.tables(ctx, s, v); err != nil {
		return err
	}
	return s.ledger.BeginRound(ctx, v, next)
}

func (rounds) tables(ctx context.Context, s *scope, v *ledger.Version) (map[string]ledger.RoundTable, error) {
	found, err := s.databasesServer().Tables(ctx, v.Database)
	if err != nil {
		return nil, s.onDatabases(err)
	}
	tables := map[string]ledger.RoundTable{}
	for name, table := range found {
		tables[name] = ledger.RoundTable{File: table.File, Filled: table.Filled}
	}
	return tables, nil
}

// work does the next thing for the round that is under way, and reports whether
// it has come to its end, for better or worse. It reads what it judges anew, so
// that it can be called again and again.
func (d rounds) work(ctx context.Context, s *scope, v *ledger.Version) (done bool, result outcome, err error) {
	round := v.LastRound()
	if round == nil || round.FinishedAt != nil {
		return true, outcome{}, nil
	}
	job, pods, err := d.find(ctx, s, v, round)
	if err != nil {
		return false, outcome{}, err
	}
	switch {
	case round.Job != "" && (job == nil || string(job.UID) != round.Job):
		return d.giveUp(ctx, s, v, round, func(job *batchv1.Job) bool { return string(job.UID) == round.Job }, "its Job was deleted")
	case job == nil:
		return d.prepare(ctx, s, v, round)
	case !job.DeletionTimestamp.IsZero() && !judgeRoundJob(job, pods).done:
		return d.fail(ctx, s, v, round, "its Job was deleted")
	case suspends(job) && wasLetGo(job, pods) && !judgeRoundJob(job, pods).done:
		return d.giveUp(ctx, s, v, round, func(job *batchv1.Job) bool { return !suspends(job) }, "its Job was suspended while it ran")
	case suspends(job) && !wasLetGo(job, pods):
		return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "begins"), pollProgress), d.start(ctx, s, v, round, job)
	}
	switch state := judgeRoundJob(job, pods); {
	case state.failed:
		return d.fail(ctx, s, v, round, state.message)
	case state.done:
		return d.finish(ctx, s, v, round)
	case state.reason != "":
		return false, blocked(state.reason, state.message, 0), nil
	}
	return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "is under way"), pollProgress), nil
}

// finish holds what the round did to what it should have done, and moves the
// checkpoint.
func (d rounds) finish(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (done bool, result outcome, err error) {
	shown := s.windowOf(v)
	filled, err := shown.Progress(ctx)
	if err != nil {
		return false, outcome{}, s.onDatabases(err)
	}
	if filled.Round != round.Number || !filled.Done() {
		return d.fail(ctx, s, v, round, "its window was changed by somebody else")
	}
	events, read := filled.Events, false
	if events > 0 {
		if read, err = shown.WasRead(ctx); err != nil {
			return false, outcome{}, s.onDatabases(err)
		}
	}
	after, err := d.tables(ctx, s, v)
	if err != nil {
		return false, outcome{}, err
	}
	if problem := judgeRound(*round, events, read, after); problem != "" {
		return d.fail(ctx, s, v, round, problem)
	}
	stage := "replaying"
	if v.Passed(v1alpha1.ConditionReplayed) {
		stage = replayComplete
	}
	return true, outcome{}, s.ledger.FinishRound(ctx, v, round.Number, events, stage)
}

// fail records that nobody knows what the database holds.
func (d rounds) fail(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round, message string) (done bool, result outcome, err error) {
	if err := s.ledger.FailRound(ctx, v, round.Number, shorten(message)); err != nil {
		return false, outcome{}, err
	}
	d.event(s, eventWarning, v1alpha1.ReasonRoundFailed, fmt.Sprintf("round %d of version %s failed: %s", round.Number, v.Version, message))
	return true, outcome{}, nil
}

func describeRound(v *ledger.Version, what string) string {
	round := v.LastRound()
	if round == nil {
		return "no event is left to replay"
	}
	return fmt.Sprintf("round %d, the log after position %d up to %d, %s", round.Number, round.From, round.Until, what)
}

// known is a version's entry as the ledger was read last.
func (s *scope) known(v *ledger.Version) *ledger.Version {
	for _, other := range s.versions {
		if other.Version == v.Version {
			return other
		}
	}
	return v
}

// retryAskedOf reports whether spec.retry was raised after the newest Job of a
// version's build was made. That of the round that failed may have been deleted,
// by somebody who meant to have it tried again; an earlier one knows as well.
func (s *scope) retryAskedOf(v *ledger.Version) bool {
	var newest *batchv1.Job
	for i := range s.jobs {
		job := &s.jobs[i]
		if job.Annotations[v1alpha1.AnnotationBuild] == v.Build.String() && (newest == nil || newest.CreationTimestamp.Before(&job.CreationTimestamp)) {
			newest = job
		}
	}
	return newest != nil && retryAsked(newest, s.release.Spec.Retry)
}

// rebuildRounds gives up a candidate whose round failed, after a pause, or at
// once when a retry is asked for. What of it is left is of no use to anybody.
func (r *Reconciler) rebuildRounds(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	failures, err := s.ledger.RoundFailures(ctx, v)
	if err != nil {
		return outcome{}, err
	}
	again := s.now
	if v.Checkpoint.ReportedAt != nil {
		again = v.Checkpoint.ReportedAt.Add(rebuildAfter(failures))
	}
	if s.now.Before(again) && !s.retryAskedOf(v) {
		result := *s.stuckAt(v)
		result.message += fmt.Sprintf("; it is built anew at %s, or at once when spec.retry is raised to %d", again.UTC().Format(time.TimeOnly+" MST"), s.release.Spec.Retry+1)
		result.again = max(again.Sub(s.now), time.Second)
		return result, nil
	}
	if err := s.ledger.Retire(ctx, v); err != nil {
		return outcome{}, err
	}
	r.event(s, eventNormal, v1alpha1.ReasonRoundFailed, fmt.Sprintf("version %s is built anew", v.Version))
	return waiting(v1alpha1.ReasonCreatingDatabase, fmt.Sprintf("version %s is built anew", v.Version), pollFast), s.reload(ctx)
}
