package release

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// evidence is why a step counts as passed: which Job of which image said so, of
// which build, and up to which position of the log.
type evidence struct {
	ledger.Summary
	Ended  time.Time       `json:"ended"`
	Report json.RawMessage `json:"report,omitempty"`
}

// evidenceOf is what the ledger keeps of a complete Job.
func evidenceOf(v *ledger.Version, job *batchv1.Job, pods []corev1.Pod, detail string) evidence {
	e := evidence{Summary: ledger.Summary{Job: job.Name, UID: string(job.UID), Image: job.Spec.Template.Spec.Containers[0].Image,
		ImageID: imageID(pods), Version: v.Version, Build: v.Build.String(), Position: v.Checkpoint.Position, Detail: detail}}
	if job.Status.CompletionTime != nil {
		e.Ended = job.Status.CompletionTime.Time
	}
	return e
}

// imageID is the digest that the node knows the image of the pod by which
// succeeded, or empty when no such pod is left.
func imageID(pods []corev1.Pod) string {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if ended := status.State.Terminated; ended != nil && ended.ExitCode == 0 {
				return status.ImageID
			}
		}
	}
	return ""
}

// report is what the operator reads of a verification's own report.
type report struct {
	Job, Version, Build string
	Passed, Audited     bool
	Position, Events    int64
	After               int64
	EventsHash          string
	StartedAt           time.Time
	Seconds             float64
	Checks              []reportedCheck
	Comparison          *struct{ Version string }
}

type reportedCheck struct {
	Name             string
	Passed, Advisory bool
	Faults           int64
	Detail           string
	Samples          []string
}

// reportOf reads a report; commands of others report nothing.
func reportOf(raw json.RawMessage) (report, bool) {
	var said report
	if len(raw) == 0 || json.Unmarshal(raw, &said) != nil {
		return report{}, false
	}
	return said, true
}

// judgeEvidence says why the evidence of a verification proves nothing of the
// version's database, or nothing at all if it does prove it.
func judgeEvidence(v *ledger.Version, e evidence) string {
	switch {
	case e.UID == "":
		return "there is no evidence that a verification succeeded"
	case e.Version != v.Version:
		return fmt.Sprintf("it is of version %q", e.Version)
	case e.Build != v.Build.String():
		return fmt.Sprintf("it is of another build of the database (%q)", e.Build)
	case v.Image != "" && e.Image != v.Image:
		return fmt.Sprintf("it was made by image %s, and the database by %s", e.Image, v.Image)
	}
	if problem := judgeReport(v, e); problem != "" {
		return problem
	}
	if end := v.Stages[v1alpha1.ConditionReplayed].Summary().Position; e.Position < end {
		return fmt.Sprintf("it was made at position %d, before the end of the replay at %d", e.Position, end)
	}
	return ""
}

// judgeReport holds the verification's own report, if there is one, to the Job.
func judgeReport(v *ledger.Version, e evidence) string {
	said, reported := reportOf(e.Report)
	switch {
	case !reported:
		return ""
	case said.Job != e.UID:
		return fmt.Sprintf("its report is of another Job (uid %q)", said.Job)
	case said.Version != v.Version || said.Build != v.Build.String():
		return fmt.Sprintf("its report is of version %q, build %q", said.Version, said.Build)
	case !said.Passed:
		return "its report says that the verification failed"
	case said.Position != e.Position:
		return fmt.Sprintf("its report is of position %d", said.Position)
	}
	return ""
}

// verifiedEvidence is what the ledger keeps of the version's verification.
func verifiedEvidence(v *ledger.Version) evidence {
	var kept evidence
	_ = json.Unmarshal(v.Stages[v1alpha1.ConditionVerified].Evidence, &kept) // what cannot be read proves nothing
	return kept
}

// holdToEvidence is the gate before the switch: a candidate goes live on
// evidence of its own database only. Without it the verification is made again.
// A version that was live before was let in then.
func (r *Reconciler) holdToEvidence(ctx context.Context, s *scope) (outcome, error) {
	v := s.target
	if v.Role != ledger.Candidate {
		return passed(""), nil
	}
	problem := judgeEvidence(v, verifiedEvidence(v))
	if problem == "" {
		return passed(""), nil
	}
	if job := latestJob(s.jobs, v, verifyStep); job != nil {
		if err := r.remove(ctx, job); err != nil {
			return outcome{}, err
		}
	}
	if err := s.ledger.ReopenStage(ctx, v, v1alpha1.ConditionVerified); err != nil {
		return outcome{}, err
	}
	return blocked(v1alpha1.ReasonEvidenceRefused, fmt.Sprintf("the evidence that %s is right is refused: %s; it is verified again", v.Database, problem), pollFast), s.reload(ctx)
}

// verificationStatus sums up the last report on this build of the version.
func verificationStatus(v *ledger.Version) *v1alpha1.VerificationStatus {
	said, reported := reportOf(v.Checkpoint.Evidence)
	if !reported || said.Build != v.Build.String() {
		return nil
	}
	told := &v1alpha1.VerificationStatus{Passed: said.Passed, Position: said.Position, Events: said.Events, EventsHash: cut(said.EventsHash, 64),
		Checks: int32(len(said.Checks)), JobUID: cut(said.Job, 64), StartedAt: metav1.NewTime(said.StartedAt.Truncate(time.Second)), //nolint:gosec // there are few
		Duration: metav1.Duration{Duration: time.Duration(said.Seconds * float64(time.Second)).Round(time.Millisecond)}}
	if kept := verifiedEvidence(v); kept.UID == said.Job {
		told.ImageID = kept.ImageID
	}
	if said.Comparison != nil {
		told.ComparedWith, told.Differences = cut(said.Comparison.Version, 40), ptr.To(said.differences())
	}
	failed := said.Checks
	if audit, reported := auditOf(v); reported && said.Passed {
		failed = audit.Checks
		if audit.Passed {
			told.AuditedPosition = ptr.To(audit.Position)
		}
	}
	told.Failed = failedChecks(failed)
	return told
}

// failedChecks are the first that failed. An image's own verification may have
// given several of them one name, or none; the status has each name once.
func failedChecks(checks []reportedCheck) []v1alpha1.FailedCheck {
	var failed []v1alpha1.FailedCheck
	names := map[string]bool{}
	for _, check := range checks {
		name := cut(firstOf(check.Name, "unnamed"), 128)
		if check.Passed || check.Advisory || names[name] || len(failed) == 10 {
			continue
		}
		names[name] = true
		failed = append(failed, v1alpha1.FailedCheck{Name: name, Faults: check.Faults, Detail: cut(check.Detail, 512), Samples: cutAll(check.Samples, 256)})
	}
	return failed
}

// comparedPrefix begins the names of the checks that compare with the live version.
const comparedPrefix = "compared:"

// differences are those from the live version's database that nobody expects.
func (said report) differences() int64 {
	var sum int64
	for _, check := range said.Checks {
		if strings.HasPrefix(check.Name, comparedPrefix) {
			sum += check.Faults
		}
	}
	return sum
}

// cut keeps a text within what the API allows.
func cut(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

func cutAll(texts []string, limit int) []string {
	var all []string
	for _, text := range texts[:min(len(texts), 10)] {
		all = append(all, cut(text, limit))
	}
	return all
}
