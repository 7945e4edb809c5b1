package release

import (
	"context"
	"encoding/json"
	"fmt"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// verifyStage proves that the database is what the log says. It owns Verified.
type verifyStage struct{ *Reconciler }

func (verifyStage) condition() string { return v1alpha1.ConditionVerified }

func (st verifyStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	v, p := s.target, s.plans[s.target.Version]
	if v.Passed(v1alpha1.ConditionVerified) {
		return passed(verified(v)), nil
	}
	if err := s.ledger.StartStage(ctx, v, v1alpha1.ConditionVerified); err != nil {
		return outcome{}, err
	}
	state, err := st.runJob(ctx, s, step{name: "verify", command: p.Verify.Command, spec: p.Verify.StepSpec, timeout: p.Verify.Timeout})
	switch {
	case err != nil:
		return outcome{}, err
	case state.done:
		return st.complete(ctx, s, state)
	case state.reason != "":
		return describeFailure(s, state), nil
	}
	return waiting(v1alpha1.ReasonVerifying, fmt.Sprintf("comparing %s with the log", v.Database), 0), nil
}

// complete believes a complete Job, unless the verification itself reported
// that something is wrong. A report of another run than this Job's proves
// nothing, and is not kept.
func (st verifyStage) complete(ctx context.Context, s *scope, state progress) (outcome, error) {
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	found := evidenceOf(state.job, "")
	if said, ok := reportOf(s.target.Checkpoint.Evidence, string(state.job.UID)); ok {
		if !said.Passed {
			return blocked(v1alpha1.ReasonJobFailed, fmt.Sprintf("Job %s says that it is complete, but its report says that the verification failed", state.job.Name), pollSlow), nil
		}
		found.Detail = fmt.Sprintf("%d checks passed on %d events up to position %d", len(said.Checks), said.Events, said.Position)
		found.Report = s.target.Checkpoint.Evidence
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionVerified, found); err != nil {
		return outcome{}, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	return passed(verified(s.target)), nil
}

// report is what the operator reads of a verification's report.
type report struct {
	Job              string
	Passed           bool
	Position, Events int64
	Checks           []json.RawMessage
}

func reportOf(evidence json.RawMessage, job string) (report, bool) {
	var said report
	if err := json.Unmarshal(evidence, &said); err != nil || said.Job != job {
		return report{}, false
	}
	return said, true
}

func verified(v *ledger.Version) string {
	return firstOf(v.Stages[v1alpha1.ConditionVerified].Summary().Detail, "the verification found nothing wrong")
}
