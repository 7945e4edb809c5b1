package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// choice is the version that should be live now. It is spec.version, unless
// that one is held or an annotation holds another.
type choice struct {
	version string
	// instead says why it is not spec.version, once it is live; nil when it is.
	instead *outcome
	// refused says why the choice cannot be obeyed: nothing is to be changed.
	refused *outcome
}

// choose decides which version should be live, in this order: what the
// annotation holds; what a failed version is being sent back to; what is live,
// while spec.version is held; spec.version.
func choose(wanted, hold string, versions []*ledger.Version) choice {
	if hold != "" {
		return obeyHold(wanted, hold, versions)
	}
	for _, v := range versions {
		if v.Role == ledger.Live && v.Held != nil && leadsBack(v, wanted, versions) {
			return choice{version: v.Held.ReturnTo, instead: sentBack(v)}
		}
	}
	for _, v := range versions {
		if v.Version != wanted || v.Held == nil || v.Role == ledger.Live {
			continue
		}
		if live := liveOf(versions); live != nil {
			return choice{version: live.Version, instead: sentBack(v)}
		}
	}
	return choice{version: wanted}
}

// leadsBack reports whether a version is being sent back. It stays live when what
// it is sent back to cannot come back; another version that is asked for is then the
// way out.
func leadsBack(v *ledger.Version, wanted string, versions []*ledger.Version) bool {
	return slices.ContainsFunc(versions, func(other *ledger.Version) bool {
		return other.Version == v.Held.ReturnTo && other.Role == ledger.Warm && (other.Checkpoint.Problem == nil || wanted == v.Version)
	})
}

// obeyHold takes the annotation's word, if it names a version that can be live
// at once, or the one that is wanted anyway.
func obeyHold(wanted, hold string, versions []*ledger.Version) choice {
	if hold == wanted {
		return choice{version: wanted}
	}
	if !hasRole(versions, hold, ledger.Live, ledger.Warm) {
		refused := atRest(blocked(v1alpha1.ReasonHoldInvalid, fmt.Sprintf(
			"annotation %s names %q, which is not a version that has been live and is kept (%s); correct the annotation, or remove it to let version %s go live. Nothing is changed meanwhile",
			v1alpha1.AnnotationHold, hold, strings.Join(returnable(versions), ", "), wanted), pollSlow))
		return choice{version: wanted, refused: &refused}
	}
	held := atRest(blocked(v1alpha1.ReasonHeld, fmt.Sprintf("annotation %s holds version %s; remove it to let version %s go live", v1alpha1.AnnotationHold, hold, wanted), pollSlow))
	return choice{version: hold, instead: &held}
}

func sentBack(v *ledger.Version) *outcome {
	if v.Held.Reason == v1alpha1.ReasonAborted {
		result := atRest(blocked(v1alpha1.ReasonAborted, fmt.Sprintf(
			"version %s was given up at %s and is held. Release another version, or take spec.abort away and raise spec.retry to %d to try this one again",
			v.Version, v.Held.At.UTC().Format(time.RFC3339), v.Held.Retry+1), pollSlow))
		return &result
	}
	result := atRest(blocked(v1alpha1.ReasonRolledBack, fmt.Sprintf(
		"version %s was sent back to %s at %s and is held: %s. Release another version, or raise spec.retry to %d to try this one again",
		v.Version, v.Held.ReturnTo, v.Held.At.UTC().Format(time.RFC3339), v.Held.Message, v.Held.Retry+1), pollSlow))
	return &result
}

func hasRole(versions []*ledger.Version, version string, roles ...ledger.Role) bool {
	return slices.ContainsFunc(versions, func(v *ledger.Version) bool { return v.Version == version && slices.Contains(roles, v.Role) })
}

func liveOf(versions []*ledger.Version) *ledger.Version {
	for _, v := range versions {
		if v.Role == ledger.Live {
			return v
		}
	}
	return nil
}

// returnable are the versions that an annotation could hold.
func returnable(versions []*ledger.Version) []string {
	var names []string
	for _, v := range versions {
		if v.Role == ledger.Live || v.Role == ledger.Warm {
			names = append(names, v.Version)
		}
	}
	if len(names) == 0 {
		names = append(names, "there is none")
	}
	return names
}

// mayGoAgain decides whether a held version is free again: somebody asked for
// another try, or for another version after this one was sent back. A way back
// under way comes to its end first.
func mayGoAgain(v *ledger.Version, wanted string, retry int64) bool {
	if v.Held == nil {
		return false
	}
	return retry > v.Held.Retry || wanted != v.Held.Wanted && v.Role != ledger.Live
}

// liftHolds frees the versions that may go live again. One whose verification
// failed has to pass it anew.
func (r *Reconciler) liftHolds(ctx context.Context, s *scope) error {
	lifted := false
	for _, v := range s.versions {
		if aborted(&s.release.Spec, v.Version, s.versions) || !mayGoAgain(v, s.release.Spec.Version, s.release.Spec.Retry) {
			continue
		}
		if v.Held.Reason == v1alpha1.ReasonJobFailed {
			if err := s.ledger.ReopenStage(ctx, v, v1alpha1.ConditionVerified); err != nil {
				return err
			}
		}
		if err := s.ledger.LiftHold(ctx, v); err != nil {
			return err
		}
		lifted = true
	}
	if !lifted {
		return nil
	}
	return s.reload(ctx)
}
