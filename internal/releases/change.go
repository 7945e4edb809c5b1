package releases

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Change is what a person does to a release.
type Change struct {
	// Say tells what was changed, once it was.
	Say string

	apply func(*v1alpha1.NawhasRelease)
}

// refusal says why a change makes no sense now, and what would.
func refusal(advice, what string, args ...any) error {
	return &Problem{What: fmt.Sprintf(what, args...), Advice: advice}
}

// Apply makes the change, unless somebody changed the release since it was read
// or the cluster's definition does not know the field. With try nothing is
// stored.
func (c *Cluster) Apply(ctx context.Context, release *v1alpha1.NawhasRelease, change Change, try bool) error {
	read := release
	for {
		err := c.patch(ctx, read, change, try)
		if !apierrors.IsConflict(err) {
			return err
		}
		// The operator writes the status every other second while it replays:
		// that alone is no reason to decide anew.
		again, findErr := c.Find(ctx, release.Name)
		if findErr != nil {
			return findErr
		}
		if again.Generation != release.Generation || again.UID != release.UID || !maps.Equal(again.Annotations, release.Annotations) {
			return err
		}
		read = again
	}
}

func (c *Cluster) patch(ctx context.Context, release *v1alpha1.NawhasRelease, change Change, try bool) error {
	changed := release.DeepCopy()
	change.apply(changed)
	options := []client.PatchOption{client.FieldOwner(FieldManager), client.FieldValidation(metav1.FieldValidationStrict)}
	if try {
		options = append(options, client.DryRunAll)
	}
	patch := client.MergeFromWithOptions(release, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, changed, patch, options...); err != nil {
		return fmt.Errorf("change NawhasRelease %s: %w", release.Name, err)
	}
	return nil
}

// Wish is the change of spec.version, as it is tried before a release.
func Wish(version string) Change {
	return Change{Say: "spec.version is " + version, apply: func(r *v1alpha1.NawhasRelease) { r.Spec.Version = version }}
}

// Promotion lets the wanted version go live in mode Manual.
func Promotion(release *v1alpha1.NawhasRelease) (Change, error) {
	version := release.Spec.Version
	switch {
	case release.Status.Live == version:
		return Change{}, refusal("Nothing is left to approve.", "version %s is live already", version)
	case release.Spec.Promotion.Mode != v1alpha1.PromotionManual:
		return Change{}, refusal("It goes live by itself as soon as it is verified and has caught up.", "promotion.mode is not Manual, so that version %s needs no approval", version)
	case release.Spec.Promotion.Approved == version:
		return Change{}, refusal("`kubectl nawhas status` tells what it waits for.", "version %s is approved already", version)
	}
	if tool := managerOf(release, "f:spec", "f:promotion", "f:approved"); tool != "" {
		return Change{}, refusal("Set spec.promotion.approved: "+version+" there.", "%s owns spec.promotion.approved and would undo this", tool)
	}
	return Change{Say: fmt.Sprintf("version %s may go live", version) + whileSuspended(release), apply: func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = version }}, nil
}

// Abort gives up the version that is on its way: its steps are stopped, and what
// is live stays so. Where a repository decides about that field, hold keeps the
// live version by an annotation instead.
func Abort(release *v1alpha1.NawhasRelease, hold bool) (Change, error) {
	live, version := release.Status.Live, release.Spec.Version
	switch {
	case live == version:
		return Change{}, refusal("To go back to the version before it: `kubectl nawhas rollback`.", "version %s is live: there is nothing to give up", live)
	case release.Spec.Abort == version:
		return Change{}, refusal("To try it again: `kubectl nawhas retry`.", "version %s is given up already", version)
	case live != "" && release.Annotations[v1alpha1.AnnotationHold] == live:
		return Change{}, refusal("Nothing else goes live until `kubectl nawhas resume`.", "version %s is held live already", live)
	case hold && live == "":
		return Change{}, refusal("Leave --hold out.", "no version is live yet, so that there is none to hold")
	case hold:
		return goTo(release, live, true)
	}
	if tool := managerOf(release, "f:spec", "f:abort"); tool != "" {
		return Change{}, refusal("Set spec.abort: "+version+" there; or, if it has to be now, use --hold.", "%s owns spec.abort and would undo this", tool)
	}
	return Change{Say: fmt.Sprintf("version %s is given up; to try it again: kubectl nawhas retry %s -n %s", version, release.Name, release.Namespace),
		apply: func(r *v1alpha1.NawhasRelease) { r.Spec.Abort = version }}, nil
}

// Rollback goes back to a version that was live before; the one that was live
// last when none is named. Where going back would lose something or take long
// it refuses, unless it is forced.
func Rollback(release *v1alpha1.NawhasRelease, to string, hold, force bool) (Change, error) {
	live := release.Status.Live
	if wanted := versionOf(release, release.Spec.Version); to == "" && wanted != nil && wanted.Held != "" && live != wanted.Version {
		return Change{}, refusal("To go back further: `kubectl nawhas rollback --to VERSION`.",
			"version %s was sent back already, and version %s is live", wanted.Version, live)
	}
	if to == "" && live != "" && live != release.Spec.Version && release.Status.Hold == "" {
		return Change{}, refusal("To give it up and stay with "+live+": `kubectl nawhas abort`. To go back further: `kubectl nawhas rollback --to VERSION`.",
			"version %s is not live yet", release.Spec.Version)
	}
	previous, err := returnTo(release, to)
	if err != nil {
		return Change{}, err
	}
	if condition := meta.FindStatusCondition(release.Status.Conditions, v1alpha1.ConditionRollbackReady); !force && condition != nil &&
		condition.Status != metav1.ConditionTrue && previous == latestWarm(release) {
		return Change{}, refusal("To go back nevertheless: --force.", "version %s cannot come back at once: %s", previous.Version, condition.Message)
	}
	return goTo(release, previous.Version, hold)
}

func returnTo(release *v1alpha1.NawhasRelease, to string) (*v1alpha1.VersionStatus, error) {
	if to == "" {
		if previous := latestWarm(release); previous != nil {
			return previous, nil
		}
		return nil, refusal("Release another version instead.", "no other version has been live, is kept and was not sent back")
	}
	var warm []string
	for i := range release.Status.Versions {
		if v := &release.Status.Versions[i]; v.Role == v1alpha1.RoleWarm {
			if v.Version == to {
				return v, nil
			}
			warm = append(warm, v.Version)
		}
	}
	return nil, &Problem{Usage: true, What: fmt.Sprintf("version %s cannot come back: it is not kept", to),
		Advice: "Versions that can: " + strings.Join(append(warm, "no more")[:max(1, len(warm))], ", ") + "."}
}

// latestWarm is the version that was live last, unless it was sent back. The
// window is the same for all of them, so that the latest has the latest end.
func latestWarm(release *v1alpha1.NawhasRelease) *v1alpha1.VersionStatus {
	var latest *v1alpha1.VersionStatus
	for i := range release.Status.Versions {
		v := &release.Status.Versions[i]
		if v.Role == v1alpha1.RoleWarm && v.Held == "" && (latest == nil || v.WarmUntil != nil && until(latest).Before(v.WarmUntil.Time)) {
			latest = v
		}
	}
	return latest
}

func until(v *v1alpha1.VersionStatus) time.Time {
	if v.WarmUntil == nil {
		return time.Time{}
	}
	return v.WarmUntil.Time
}

// goTo makes a version the wanted one, or holds it where somebody else decides
// what is wanted.
func goTo(release *v1alpha1.NawhasRelease, version string, hold bool) (Change, error) {
	if hold {
		return Change{
			Say: holding(release, version),
			apply: func(r *v1alpha1.NawhasRelease) {
				metav1.SetMetaDataAnnotation(&r.ObjectMeta, v1alpha1.AnnotationHold, version)
			},
		}, nil
	}
	if tracker := Tracker(release); tracker != "" {
		return Change{}, refusal("Revert the change in its repository; or, if it has to be now, use --hold: it keeps version "+version+" live whatever spec.version says.",
			"%s keeps this release as its repository has it and would undo the change", tracker)
	}
	if held := release.Annotations[v1alpha1.AnnotationHold]; held != "" && held != version {
		return Change{}, refusal("Remove it first (`kubectl nawhas resume`), or use --hold.",
			"an annotation holds version %s, so that spec.version is not obeyed", held)
	}
	change := Wish(version)
	change.Say += whileSuspended(release)
	return change, nil
}

// holding says what a hold does, and what ends it.
func holding(release *v1alpha1.NawhasRelease, version string) string {
	if suspended := whileSuspended(release); suspended != "" {
		return fmt.Sprintf("version %s is held live, whatever spec.version says%s; the hold stays then, until resume is called once more", version, suspended)
	}
	return fmt.Sprintf("version %s is held live, whatever spec.version says, until %#q", version, resume(release))
}

// whileSuspended says that a change has no effect yet, where that is so.
func whileSuspended(release *v1alpha1.NawhasRelease) string {
	if !release.Spec.Suspend {
		return ""
	}
	return "; but the release is suspended: nothing is begun or switched until `" + resume(release) + "`"
}

func resume(release *v1alpha1.NawhasRelease) string {
	return fmt.Sprintf("kubectl nawhas resume %s -n %s", release.Name, release.Namespace)
}

// Suspend stops the release where it is.
func Suspend(release *v1alpha1.NawhasRelease) (Change, error) {
	if release.Spec.Suspend {
		return Change{}, refusal("To let it go on: `kubectl nawhas resume`.", "release %s is suspended already", release.Name)
	}
	if tool := managerOf(release, "f:spec", "f:suspend"); tool != "" {
		return Change{}, refusal("Set spec.suspend: true there.", "%s owns spec.suspend and would undo this", tool)
	}
	return Change{Say: "nothing is begun, switched or removed until `" + resume(release) + "`",
		apply: func(r *v1alpha1.NawhasRelease) { r.Spec.Suspend = true }}, nil
}

// Resume lets the release go on: it ends a suspension, or else removes the
// annotation that holds a version. Who went back while it was suspended wants to
// stay there.
func Resume(release *v1alpha1.NawhasRelease) (Change, error) {
	held := release.Annotations[v1alpha1.AnnotationHold]
	if release.Spec.Suspend {
		if tool := managerOf(release, "f:spec", "f:suspend"); tool != "" {
			return Change{}, refusal("Take spec.suspend away there.", "%s owns spec.suspend and would undo this", tool)
		}
		said := fmt.Sprintf("the release goes on; spec.version is %s", release.Spec.Version)
		if held != "" {
			said = fmt.Sprintf("the release goes on; version %s is still held, until %#q once more", held, resume(release))
		}
		return Change{Say: said, apply: func(r *v1alpha1.NawhasRelease) { r.Spec.Suspend = false }}, nil
	}
	if held == "" {
		return Change{}, refusal("`kubectl nawhas status` tells what the release waits for.", "the release is not suspended, and no version is held")
	}
	return Change{Say: fmt.Sprintf("version %s is no longer held; spec.version is %s", held, release.Spec.Version),
		apply: func(r *v1alpha1.NawhasRelease) { delete(r.Annotations, v1alpha1.AnnotationHold) }}, nil
}

// Again tries a version again that was sent back or given up, or a step of it
// that failed: it raises spec.retry, and takes spec.abort away.
func Again(release *v1alpha1.NawhasRelease) (Change, error) {
	for _, field := range []string{"retry", "abort"} {
		if tool := managerOf(release, "f:spec", "f:"+field); tool != "" {
			return Change{}, refusal(fmt.Sprintf("Set spec.retry: %d there, without spec.abort.", release.Spec.Retry+1), "%s owns spec.%s and would undo this", tool, field)
		}
	}
	next := release.Spec.Retry + 1
	return Change{Say: fmt.Sprintf("version %s is tried again (spec.retry is %d)", release.Spec.Version, next) + whileSuspended(release), apply: func(r *v1alpha1.NawhasRelease) {
		r.Spec.Retry = next
		if r.Spec.Abort == r.Spec.Version {
			r.Spec.Abort = ""
		}
	}}, nil
}
