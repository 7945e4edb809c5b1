package release

import (
	"context"
	"fmt"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// replayStep names the Jobs that replay.
const replayStep = "replay"

// replayComplete is what a replay reports of its checkpoint at its end.
const replayComplete = "complete"

// replayStage fills the database with all events. It owns Replayed.
type replayStage struct{ *Reconciler }

func (replayStage) condition() string { return v1alpha1.ConditionReplayed }

func (st replayStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	v, p := s.target, s.plans[s.target.Version]
	if v.Passed(v1alpha1.ConditionReplayed) {
		return passed(replayed(v)), nil
	}
	if err := st.begin(ctx, s, p); err != nil {
		return outcome{}, err
	}
	if p.inRounds() {
		return st.inRounds(ctx, s)
	}
	state, err := st.runJob(ctx, s, step{name: replayStep, command: p.Replay.Command, spec: p.Replay.StepSpec, timeout: p.Replay.Timeout, env: append(skipping(p), pacing(p)...),
		refused: s.incomplete})
	switch {
	case err != nil:
		return outcome{}, err
	case state.done:
		return st.complete(ctx, s, state)
	case v.Checkpoint.Problem != nil:
		return poisoned(s, v, state), nil
	case state.reason != "":
		return describeFailure(s, state), nil
	}
	return waiting(v1alpha1.ReasonReplaying, replaying(v), pollProgress), nil
}

// inRounds makes rounds until little is left.
func (st replayStage) inRounds(ctx context.Context, s *scope) (outcome, error) {
	if problem := s.unsuitable(s.target); problem != nil {
		return *problem, nil
	}
	result, err := rounds(st).advance(ctx, s, s.target)
	if err != nil || !result.passed {
		return result, err
	}
	if err := s.ledger.CompleteRounds(ctx, s.target, replayComplete); err != nil {
		return outcome{}, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	made := ledger.Summary{Image: s.target.Image, Version: s.target.Version, Build: s.target.Build.String(), Position: s.target.Checkpoint.Position,
		Detail: fmt.Sprintf("all events up to position %d", s.target.Checkpoint.Position)}
	if last := s.target.LastRound(); last != nil {
		made.Job = roundName(s, s.target, last)
		made.Detail += fmt.Sprintf(", in %d rounds", last.Number)
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionReplayed, made); err != nil {
		return outcome{}, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	return passed(replayed(s.target)), nil
}

// begin pins the image: from here on the database is this image's.
func (st replayStage) begin(ctx context.Context, s *scope, p *plan) error {
	if err := s.ledger.StartStage(ctx, s.target, v1alpha1.ConditionReplayed); err != nil {
		return err
	}
	if s.target.Image != "" {
		return nil
	}
	if err := s.ledger.PinImage(ctx, s.target, p.image()); err != nil {
		return err
	}
	return s.reload(ctx)
}

// incomplete says how the replay itself contradicts a complete Job, "" when it does
// not.
func (s *scope) incomplete(ctx context.Context, state progress) (string, error) {
	if err := s.reload(ctx); err != nil {
		return "", err
	}
	reported := s.target.Checkpoint
	if reported.ReportedAt == nil || reported.Stage == replayComplete {
		return "", nil
	}
	return fmt.Sprintf("Job %s says that it is complete, but the checkpoint of %s says %q at position %d",
		state.job.Name, s.target.Database, reported.Stage, reported.Position), nil
}

// complete believes a complete Job, unless the replay itself reported that the
// database is not complete.
func (st replayStage) complete(ctx context.Context, s *scope, state progress) (outcome, error) {
	problem, err := s.incomplete(ctx, state)
	if err != nil {
		return outcome{}, err
	}
	if problem != "" {
		return blocked(v1alpha1.ReasonJobFailed, problem, pollFast), nil
	}
	reported := s.target.Checkpoint
	detail := ""
	if reported.ReportedAt != nil {
		detail = fmt.Sprintf("all events up to position %d", reported.Position)
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionReplayed, evidenceOf(s.target, state.job, s.podsOf(state.job), detail)); err != nil {
		return outcome{}, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	return passed(replayed(s.target)), nil
}

func replayed(v *ledger.Version) string {
	return firstOf(v.Stages[v1alpha1.ConditionReplayed].Summary().Detail, "all events are replayed")
}

func poisoned(s *scope, v *ledger.Version, state progress) outcome {
	result := *s.stuckAt(v)
	if !state.retryAt.IsZero() {
		result.again = max(state.retryAt.Sub(s.now), time.Second)
	}
	return result
}

func replaying(v *ledger.Version) string {
	c := v.Checkpoint
	if c.Target == 0 {
		return "starting the replay into " + v.Database
	}
	message := fmt.Sprintf("%d %% of %d, at %.0f events/s", percent(c.Position, c.Target), c.Target, c.Rate)
	if left := remaining(c); left > 0 {
		message += fmt.Sprintf(", %s left", left)
	}
	return message
}

func percent(position, target int64) int32 {
	if target <= 0 {
		return 0
	}
	return int32(min(100, 100*position/target)) //nolint:gosec // at most 100
}

// remaining is the time that the rest of a replay takes at its present rate.
func remaining(c ledger.Checkpoint) time.Duration {
	if c.Rate <= 0 || c.Position >= c.Target {
		return 0
	}
	return (time.Duration(float64(c.Target-c.Position)/c.Rate) * time.Second).Round(time.Second)
}
