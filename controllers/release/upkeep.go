package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

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
// far it is. A candidate is not followed before it is verified, nor is a version
// that was sent back while it is verified anew: it then stands where it is
// compared. A warm version that is not among the most recent is not
// kept current, and none has a preview: it was live before, and a Service more
// has nodes learn of the switch later, because they gather changes of a second.
func needsOf(v, target *ledger.Version, keep keeping, recent bool, now time.Time) needs {
	wanted := v == target
	switch v.Role {
	case ledger.Live:
		return needs{follower: true, pods: true}
	case ledger.Warm:
		follow := recent && v.WarmSince != nil && now.Sub(*v.WarmSince) < keep.window
		pods := follow && (keep.switching || now.Sub(*v.WarmSince) < keep.pods)
		if wanted {
			return needs{follower: v.Passed(v1alpha1.ConditionVerified), pods: true}
		}
		return needs{follower: follow, pods: pods}
	case ledger.Candidate:
		verified := wanted && v.Held == nil && v.Passed(v1alpha1.ConditionVerified)
		return needs{follower: verified, pods: verified, preview: verified}
	}
	return needs{}
}

// keeping is for how long previous versions are kept, and how many.
type keeping struct {
	window, pods time.Duration
	warm         int
	// switching says that the Services may still lead to the version before.
	switching bool
}

// keepingOf is what the spec asks for. While a version is watched, the one
// before it must be able to come back.
func keepingOf(spec *v1alpha1.NawhasReleaseSpec) keeping {
	return keeping{
		window: max(durationOf(spec.Rollback.Window), observeFor(spec)),
		pods:   max(durationOf(spec.Rollback.KeepPodsFor), observeFor(spec)),
		warm:   int(ptr.Deref(spec.Rollback.MaxWarm, 1)),
	}
}

func durationOf(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}

// isRecent reports whether a warm version is among the last ones that were live.
func isRecent(v *ledger.Version, versions []*ledger.Version, among int) bool {
	later := 0
	for _, other := range versions {
		if other.Role == ledger.Warm && other.WarmSince != nil && v.WarmSince != nil && other.WarmSince.After(*v.WarmSince) {
			later++
		}
	}
	return later < among
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
		// The ledger may have been read anew since.
		if err := r.keep(ctx, s, s.known(v)); err != nil {
			problems = append(problems, fmt.Errorf("look after version %s: %w", v.Version, err))
		}
	}
	if err := r.tidy(ctx, s); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (r *Reconciler) keep(ctx context.Context, s *scope, v *ledger.Version) error {
	if v.Role == ledger.Retiring {
		return r.retire(ctx, s, v)
	}
	if v.Role == ledger.Candidate && v.Held != nil {
		if err := r.stopJobs(ctx, s, v); err != nil {
			return err
		}
	}
	target := s.target
	if s.halted() {
		if v == target && v.Role == ledger.Candidate && v.Held == nil {
			return nil // it is left as it is
		}
		target = nil
	}
	keep := keepingOf(&s.release.Spec)
	live := s.live()
	keep.switching = live != nil && !live.Passed(v1alpha1.ConditionSwitched)
	need := needsOf(v, target, keep, isRecent(v, s.versions, keep.warm), s.now)
	bring := func() error { return r.run(ctx, s, v, need) }
	if s.strayed(v) {
		bring = func() error { return r.wakeExclusive(ctx, s, v) }
	}
	if err := bring(); err != nil {
		return err
	}
	isAwaited := v == target && v.Role == ledger.Warm && s.awaitsApproval()
	if need.preview || isAwaited {
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
	if err := r.keepLive(ctx, s, v); err != nil || s.halted() || !s.showsNothing() {
		return err
	}
	return r.removePreview(ctx, s, v)
}

// showsNothing reports whether a preview that is there was another version's, which has
// made way: the one that is built instead is not to be seen yet.
func (s *scope) showsNothing() bool {
	v := s.target
	return v == nil || v.Role == ledger.Retiring || v.Role == ledger.Candidate && (v.Held != nil || !v.Passed(v1alpha1.ConditionVerified))
}

// run brings what runs of a version to what it should be.
func (r *Reconciler) run(ctx context.Context, s *scope, v *ledger.Version, need needs) error {
	follower := need.follower || v.Passed(v1alpha1.ConditionReplayed)
	workloads := need.pods || v.Passed(v1alpha1.ConditionVerified) || v.Role == ledger.Warm
	if follower || workloads {
		if err := (databaseStage{r}).equip(ctx, s, v); err != nil {
			return err
		}
	}
	if s.plans[v.Version].inRounds() {
		if err := r.keepInRounds(ctx, s, v, need.follower); err != nil {
			return err
		}
	} else if follower {
		if err := r.ensureFollower(ctx, s, v, need.follower); err != nil {
			return err
		}
	}
	if !workloads {
		return nil
	}
	if err := r.ensureWorkloads(ctx, s, v, need.pods); err != nil {
		return err
	}
	return r.closeSpares(ctx, s, v)
}

// strayed reports whether a live version's database is not where the spec says:
// spec.databases leads to another server, or somebody dropped it. What runs may
// still have it, and is left alone until another version has taken over, but for
// what a switch stopped that came to nothing.
func (s *scope) strayed(v *ledger.Version) bool {
	return v.Role == ledger.Live && v.Passed(v1alpha1.ConditionDatabaseReady) && !s.existing[v.Database]
}

// keepLive puts back the Services and the right to append of a live version
// while another one is on its way, and brings its own switch to its end: those
// before it lose their right to append when the nodes lead to it.
func (r *Reconciler) keepLive(ctx context.Context, s *scope, v *ledger.Version) error {
	if !s.canAppend(v) {
		if err := s.allowAppending(ctx, v); err != nil {
			return err
		}
	}
	if err := r.ensureServices(ctx, s, v); err != nil {
		return err
	}
	if _, err := (switchStage{r}).arrive(ctx, s, v); err != nil {
		return err
	}
	return r.fenceOthers(ctx, s, s.known(v))
}

// fenceOthers goes on with the fence of a live version's predecessors when the
// stages are busy with its successor, until they have fenced these off for it or its
// successor's fence does. That it is passed is the stages' word. The successor itself
// keeps the right only if it is gone back to and has not lost it yet: its pods may
// serve clients still. Whatever else has it was given it by somebody else, and may
// have begun to append: the fence has to be proven again.
func (r *Reconciler) fenceOthers(ctx context.Context, s *scope, live *ledger.Version) error {
	st, fenced := fenceStage{r}, live.Passed(v1alpha1.ConditionFenced)
	if fenced && s.canAppendBeside(live) {
		if err := st.reopen(ctx, s, live); err != nil {
			return err
		}
		live = s.known(live)
	}
	for _, v := range s.versions {
		returns := v == s.target && v.Role == ledger.Warm && !fenced
		if v == live || returns || fenced && !s.canAppend(v) {
			continue
		}
		result, err := st.fence(ctx, s, v)
		if err != nil {
			return err
		}
		s.draining = s.draining || !result.passed
	}
	if fenced || !live.Passed(v1alpha1.ConditionSwitched) {
		return nil
	}
	result, err := st.fenceFormer(ctx, s)
	s.draining = s.draining || !result.passed
	return err
}
