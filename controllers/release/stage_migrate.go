package release

import (
	"context"
	"fmt"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// migrateStage makes the tables of the empty database. It owns Migrated.
type migrateStage struct{ *Reconciler }

func (migrateStage) condition() string { return v1alpha1.ConditionMigrated }

func (st migrateStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	if err := st.reopen(ctx, s); err != nil {
		return outcome{}, err
	}
	if s.target.Passed(v1alpha1.ConditionMigrated) {
		return passed("the tables are there"), nil
	}
	if err := s.begin(ctx, v1alpha1.ConditionMigrated); err != nil {
		return outcome{}, err
	}
	p := s.plans[s.target.Version]
	state, err := st.runJob(ctx, s, step{name: "migrate", command: p.Migrate.Command, spec: p.Migrate.StepSpec, timeout: p.Migrate.Timeout})
	switch {
	case err != nil:
		return outcome{}, err
	case state.done:
		if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionMigrated, evidenceOf(s.target, state.job, s.podsOf(state.job), "")); err != nil {
			return outcome{}, err
		}
		return passed("the tables are there"), s.reload(ctx)
	case state.reason != "":
		return describeFailure(s, state), nil
	}
	return waiting(v1alpha1.ReasonMigrating, fmt.Sprintf("making the tables of %s", s.target.Database), 0), nil
}

// reopen has the migrations run again when the image was corrected after they
// ran and before the replay began.
func (migrateStage) reopen(ctx context.Context, s *scope) error {
	stage, image := s.target.Stages[v1alpha1.ConditionMigrated], s.plans[s.target.Version].image()
	if s.target.Image != "" || stage.FinishedAt == nil || stage.Summary().Image == image {
		return nil
	}
	if err := s.ledger.ReopenStage(ctx, s.target, v1alpha1.ConditionMigrated); err != nil {
		return err
	}
	return s.reload(ctx)
}
