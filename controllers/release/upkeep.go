package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// needs is what a version should have running.
type needs struct {
	follower, pods bool
	// preview says that a Service shows the version although it is not live.
	preview bool
}

// needsOf decides what a version should have running by its role and by how
// far it is. A candidate is not followed before it is verified: it then stands
// where it is compared.
func needsOf(v, target *ledger.Version, rollback v1alpha1.RollbackSpec, now time.Time) needs {
	wanted := v == target
	switch v.Role {
	case ledger.Live:
		return needs{follower: true, pods: true}
	case ledger.Warm:
		inWindow := rollback.Window == nil || v.WarmSince != nil && now.Sub(*v.WarmSince) < rollback.Window.Duration
		keepPods := rollback.KeepPodsFor == nil || v.WarmSince != nil && now.Sub(*v.WarmSince) < rollback.KeepPodsFor.Duration
		return needs{follower: wanted || inWindow, pods: wanted || inWindow && keepPods, preview: wanted}
	case ledger.Candidate:
		verified := wanted && v.Passed(v1alpha1.ConditionVerified)
		return needs{follower: verified, pods: verified, preview: verified}
	}
	return needs{}
}

// upkeep gives every version what it should have running, puts back what was
// changed or deleted, and removes what is no longer wanted. A problem of one
// version does not keep the others from being looked after.
func (r *Reconciler) upkeep(ctx context.Context, s *scope) error {
	if err := r.decideRetirement(ctx, s); err != nil {
		return err
	}
	var problems []error
	for _, v := range s.versions {
		if err := r.keep(ctx, s, v); err != nil {
			problems = append(problems, fmt.Errorf("look after version %s: %w", v.Version, err))
		}
	}
	return errors.Join(problems...)
}

func (r *Reconciler) keep(ctx context.Context, s *scope, v *ledger.Version) error {
	if v.Role == ledger.Retiring {
		return r.retire(ctx, s, v)
	}
	need := needsOf(v, s.target, s.release.Spec.Rollback, s.now)
	if need.follower || v.Passed(v1alpha1.ConditionReplayed) {
		if err := r.ensureFollower(ctx, s, v, need.follower); err != nil {
			return err
		}
	}
	if need.pods || v.Passed(v1alpha1.ConditionCaughtUp) || v.Role == ledger.Warm {
		if err := r.ensureWorkloads(ctx, s, v, need.pods); err != nil {
			return err
		}
	}
	if need.preview {
		if err := r.ensurePreview(ctx, s, v); err != nil {
			return err
		}
	}
	switch {
	case v.Role != ledger.Live:
		return nil
	case v == s.target:
		return r.removePreview(ctx, s, v)
	}
	return r.keepLive(ctx, s, v)
}

// keepLive puts back the Services and the right to append of a live version
// while another one is on its way.
func (r *Reconciler) keepLive(ctx context.Context, s *scope, v *ledger.Version) error {
	if !s.canAppend(v) {
		if err := s.log.AllowAppending(ctx, s.sourcePool, v.AppRole); err != nil {
			return s.onSource(err)
		}
	}
	return r.ensureServices(ctx, s, v)
}
