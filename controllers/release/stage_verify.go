package release

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// verifyStep names the Jobs that verify.
const verifyStep = "verify"

// verifyStage proves that the database is what the log says. It owns Verified.
type verifyStage struct{ *Reconciler }

func (verifyStage) condition() string { return v1alpha1.ConditionVerified }

func (st verifyStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	v, p := s.target, s.plans[s.target.Version]
	if v.Passed(v1alpha1.ConditionVerified) {
		return passed(verified(v)), nil
	}
	if err := s.begin(ctx, v1alpha1.ConditionVerified); err != nil {
		return outcome{}, err
	}
	if pod := s.stillFollows(v); pod != "" {
		return waiting(v1alpha1.ReasonVerifying, fmt.Sprintf("%s stands still while it is verified; waiting for pod %s to end", v.Database, pod), pollProgress), nil
	}
	verification, err := s.verification(p)
	if err != nil {
		return outcome{}, err
	}
	verification.refused = func(ctx context.Context, state progress) (string, error) {
		_, problem, err := s.proofOf(ctx, state)
		return problem, err
	}
	state, err := st.runJob(ctx, s, verification)
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
	return waiting(v1alpha1.ReasonVerifying, fmt.Sprintf("comparing %s with the log", v.Database), 0), nil
}

// stillFollows names the pod that keeps a version current which was followed before
// and is to be verified anew, "" when there is none, or none on a node that answers.
// What is live is followed all the time, and compared with nothing.
func (s *scope) stillFollows(v *ledger.Version) string {
	for i := range s.pods {
		pod := &s.pods[i]
		if v.Role != ledger.Live && pod.Labels[v1alpha1.LabelVersion] == v.Version && pod.Labels[v1alpha1.LabelStage] == followerName &&
			!ended(pod) && late(pod, s.now) < overdueAfter {
			return awaited(pod, s.now)
		}
	}
	return ""
}

// verification is the step: what the Job is told, and what has to be done
// before there is one.
func (s *scope) verification(p *plan) (step, error) {
	wishes, err := json.Marshal(struct {
		Compare      v1alpha1.CompareMode          `json:"compare,omitempty"`
		ExpectedDiff []v1alpha1.ExpectedDifference `json:"expectedDiff,omitempty"`
		Queries      []v1alpha1.VerifyQuery        `json:"queries,omitempty"`
	}{p.Verify.Compare, p.Verify.ExpectedDiff, p.Verify.Queries})
	if err != nil {
		return step{}, fmt.Errorf("encode what the verification of version %s is told: %w", p.Version, err)
	}
	env := []corev1.EnvVar{{Name: "NAWHAS_VERIFY", Value: literal(string(wishes))}}
	live := s.comparedWith(p)
	if live != nil {
		env = append(env, corev1.EnvVar{Name: "NAWHAS_LIVE_VERSION", Value: live.Version},
			corev1.EnvVar{Name: "NAWHAS_LIVE_DATABASE_URL", Value: s.databases.expandedURL(live.Database, certificatesDir+"/"+databasesCAKey)})
	}
	before := func(ctx context.Context) error {
		if err := s.ledger.ForgetEvidence(ctx, s.target); err != nil {
			return err
		}
		return s.allowComparing(ctx, live)
	}
	return step{name: verifyStep, command: p.Verify.Command, spec: p.Verify.StepSpec, timeout: p.Verify.Timeout, env: env, before: before, side: verifyingSide(p)}, nil
}

// verifyingSide is whose credentials a verification gets. Where the owner-side
// role reads no log, the app role does, which may not append to it yet.
func verifyingSide(p *plan) string {
	if p.inRounds() {
		return appSide
	}
	return ownerSide
}

// proofOf is what a complete Job proves of the version's database, and why that is
// refused, "" when it is not.
func (s *scope) proofOf(ctx context.Context, state progress) (found evidence, problem string, err error) {
	if err := s.reload(ctx); err != nil {
		return evidence{}, "", err
	}
	found = evidenceOf(s.target, state.job, s.podsOf(state.job), "")
	if said, reported := reportOf(s.target.Checkpoint.Evidence); reported {
		found.Report, found.Position, found.Detail = s.target.Checkpoint.Evidence, said.Position, said.summary()
	}
	return found, judgeEvidence(s.target, found), nil
}

// complete believes a complete Job when what it proves is about this database,
// and the verification itself, if it reports, agrees.
func (st verifyStage) complete(ctx context.Context, s *scope, state progress) (outcome, error) {
	found, problem, err := s.proofOf(ctx, state)
	if err != nil {
		return outcome{}, err
	}
	if problem != "" {
		return blocked(v1alpha1.ReasonEvidenceRefused, fmt.Sprintf("Job %s is complete, but its evidence is refused: %s; raise spec.retry to %d to have the database verified again",
			state.job.Name, problem, s.release.Spec.Retry+1), pollSlow), nil
	}
	if err := s.guarded(ctx, func() error { return s.forbidComparing(ctx, s.target) }); err != nil {
		return outcome{}, err
	}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionVerified, found); err != nil {
		return outcome{}, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	return passed(verified(s.target)), nil
}

func (said report) summary() string {
	text := fmt.Sprintf("%d checks on %d events up to position %d", len(said.Checks), said.Events, said.Position)
	if said.Comparison == nil {
		return text
	}
	return fmt.Sprintf("%s, %d differences from version %s", text, said.differences(), said.Comparison.Version)
}

func verified(v *ledger.Version) string {
	return firstOf(v.Stages[v1alpha1.ConditionVerified].Summary().Detail, "the verification found nothing wrong")
}
