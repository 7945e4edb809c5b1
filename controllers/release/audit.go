package release

import (
	"fmt"
	"strings"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// auditOf is what a version's follower found of the events that it applied
// after the verification, if it has said so of this build.
func auditOf(v *ledger.Version) (report, bool) {
	said, reported := reportOf(v.Checkpoint.Audit)
	return said, reported && said.Build == v.Build.String()
}

// judgeAudit decides whether the version may go live by what came after its
// verification. Its follower must have found nothing wrong. A candidate whose
// verification promised an audit is audited up to the watermark, so that all
// that a client could read is proven; a version that was live before does not
// wait for that on its way back.
func judgeAudit(v *ledger.Version) outcome {
	if problem := unsound(v); problem != nil {
		return *problem
	}
	promised, _ := reportOf(verifiedEvidence(v).Report)
	if v.Role != ledger.Candidate || !promised.Audited || v.Mark == nil {
		return passed("")
	}
	if reached := max(promised.Position, audited(v)); reached < *v.Mark {
		return waiting(v1alpha1.ReasonSwitching, fmt.Sprintf("waiting until the events up to position %d are audited; they are up to %d. If it stays so, look at the follower's log", *v.Mark, reached), pollFast)
	}
	return passed("")
}

// audited is the position up to which an audit found the database right, 0 if
// there was none.
func audited(v *ledger.Version) int64 {
	if said, reported := auditOf(v); reported && said.Passed {
		return said.Position
	}
	return 0
}

// unsound says that a version's follower found wrong what came after the
// verification, nil if it did not.
func unsound(v *ledger.Version) *outcome {
	if v == nil {
		return nil
	}
	said, reported := auditOf(v)
	if !reported || said.Passed {
		return nil
	}
	result := atRest(blocked(v1alpha1.ReasonAuditFailed, fmt.Sprintf(
		"the database of version %s was right up to position %d, and is not what the events up to %d make of it: %s. What is live is not touched; "+
			"release a corrected version or, if somebody changed the database, put it back: it is audited again every 30 s",
		v.Version, said.After, said.Position, said.failures()), pollSlow))
	return &result
}

// failures are the checks that failed, with the first keys of each.
func (said report) failures() string {
	var failed []string
	for _, check := range said.Checks {
		if check.Passed || check.Advisory {
			continue
		}
		text := check.Name + ": " + check.Detail
		if n := min(len(check.Samples), 3); n > 0 {
			text += " (such as " + strings.Join(check.Samples[:n], "; ") + ")"
		}
		failed = append(failed, text)
	}
	return strings.Join(failed, "; ")
}
