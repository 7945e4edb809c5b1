package release

import (
	"context"
	"fmt"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// verifyStage proves that the database is what the log says. It owns Verified.
type verifyStage struct{ *Reconciler }

func (verifyStage) condition() string { return v1alpha1.ConditionVerified }

func (st verifyStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	v, p := s.target, s.plans[s.target.Version]
	if v.Passed(v1alpha1.ConditionVerified) {
		return passed("the verification found nothing wrong"), nil
	}
	if err := s.ledger.StartStage(ctx, v, v1alpha1.ConditionVerified); err != nil {
		return outcome{}, err
	}
	state, err := st.runJob(ctx, s, step{name: "verify", command: p.Verify.Command, spec: p.Verify.StepSpec, timeout: p.Verify.Timeout})
	switch {
	case err != nil:
		return outcome{}, err
	case state.done:
		found := evidenceOf(state.job, "")
		if reported := v.Checkpoint.Evidence; len(reported) > 0 {
			found.Report = reported
		}
		if err := s.ledger.PassStage(ctx, v, v1alpha1.ConditionVerified, found); err != nil {
			return outcome{}, err
		}
		return passed("the verification found nothing wrong"), s.reload(ctx)
	case state.reason != "":
		return describeFailure(s, state), nil
	}
	return waiting(v1alpha1.ReasonVerifying, fmt.Sprintf("comparing %s with the log", v.Database), 0), nil
}
