package main

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
)

func TestPromote(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")

	r.run("promote", "--dry-run").expect(t, 0, "nothing was changed")
	if approved := r.get("nawhas").Spec.Promotion.Approved; approved != "" {
		t.Fatalf("approved %q in a trial", approved)
	}
	r.run("promote").expect(t, 0, "nawhas: version 3.2.0 may go live")
	if approved := r.get("nawhas").Spec.Promotion.Approved; approved != "3.2.0" {
		t.Errorf("approved %q", approved)
	}
	r.run("promote").expect(t, exitFailed, "approved already")
}

func TestPromoteWhereNobodyHasToApprove(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting", func(release *v1alpha1.NawhasRelease) { release.Spec.Promotion.Mode = v1alpha1.PromotionAutomatic })
	r.run("promote").expect(t, exitFailed, "promotion.mode is not Manual")
}

func TestAbort(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	r.run("abort").expect(t, 0, "version 3.2.0 is given up", "kubectl nawhas retry nawhas")
	if spec := r.get("nawhas").Spec; spec.Version != "3.2.0" || spec.Abort != "3.2.0" {
		t.Errorf("spec.version is %s and spec.abort %s", spec.Version, spec.Abort)
	}
	r.run("abort").expect(t, exitFailed, "given up already", "kubectl nawhas retry")
	r.run("retry").expect(t, 0, "version 3.2.0 is tried again (spec.retry is 1)")
	if spec := r.get("nawhas").Spec; spec.Abort != "" || spec.Retry != 1 {
		t.Errorf("spec.abort is %s and spec.retry %d", spec.Abort, spec.Retry)
	}
}

func TestAbortOfWhatIsLive(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("abort").expect(t, exitFailed, "nothing to give up", "kubectl nawhas rollback")
}

func TestRollback(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("rollback", "--to", "2.0.0").expect(t, exitUsage, "version 2.0.0 cannot come back", "Versions that can: 3.1.2.")
	r.run("rollback").expect(t, 0, "spec.version is 3.1.2")
	if version := r.get("nawhas").Spec.Version; version != "3.1.2" {
		t.Errorf("spec.version is %s", version)
	}
}

func TestRollbackOfWhatIsNotLive(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")
	r.run("rollback").expect(t, exitFailed, "version 3.2.0 is not live yet", "kubectl nawhas abort")
}

func TestRollbackThatWouldTakeLong(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", func(release *v1alpha1.NawhasRelease) {
		for i := range release.Status.Conditions {
			if c := &release.Status.Conditions[i]; c.Type == v1alpha1.ConditionRollbackReady {
				c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonLagging, "the database is behind"
			}
		}
	})
	r.run("rollback").expect(t, exitFailed, "cannot come back at once: the database is behind", "--force")
	r.run("rollback", "--force").expect(t, 0, "spec.version is 3.1.2")
}

// What the operator writes meanwhile is no conflict; what people change is.
func TestAChangeOfWhatHasChangedSinceItWasRead(t *testing.T) {
	r := newRoom(t)
	read := r.recorded("waiting")
	c := &releases.Cluster{Client: cluster, Namespace: r.namespace}
	change, err := releases.Promotion(read)
	r.must(err)
	progress := r.get("nawhas")
	progress.Status.Lag = ptr.To[int64](7)
	r.must(cluster.Status().Update(t.Context(), progress))
	r.must(c.Apply(t.Context(), r.get("nawhas"), change, true))
	r.must(c.Apply(t.Context(), read, change, true))

	other := r.get("nawhas")
	other.Spec.Version = "3.3.0"
	r.must(cluster.Update(t.Context(), other))
	if err := c.Apply(t.Context(), read, change, false); !apierrors.IsConflict(err) {
		t.Errorf("got %v", err)
	}
	if approved := r.get("nawhas").Spec.Promotion.Approved; approved != "" {
		t.Errorf("version %s is approved", approved)
	}
}

// What a repository decides is not changed behind its back, but it can be held.
func TestRollbackUnderGitOps(t *testing.T) {
	for name, tracked := range map[string]func(*v1alpha1.NawhasRelease){
		"Argo CD application library": func(r *v1alpha1.NawhasRelease) {
			r.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "library:releases.nawhas.com/NawhasRelease:x/nawhas"}
		},
		"Flux Kustomization apps": func(r *v1alpha1.NawhasRelease) {
			r.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps"}
		},
		"Flux keeps": func(r *v1alpha1.NawhasRelease) { r.Annotations = map[string]string{"apply-as": "kustomize-controller"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			release := r.recorded("switched", tracked)
			if manager := release.Annotations["apply-as"]; manager != "" {
				owned := client.MergeFrom(release.DeepCopy())
				release.Spec.Version = "3.2.1"
				r.must(cluster.Patch(t.Context(), release, owned, client.FieldOwner(manager)))
				status := client.MergeFrom(release.DeepCopy())
				release.Status.Live, release.Status.ObservedGeneration = "3.2.1", release.Generation
				r.must(cluster.Status().Patch(t.Context(), release, status))
			}
			before := r.get("nawhas").Spec.Version

			r.run("rollback").expect(t, exitFailed, name, "would undo the change", "--hold")
			if version := r.get("nawhas").Spec.Version; version != before {
				t.Fatalf("spec.version is %s", version)
			}
			r.run("rollback", "--hold").expect(t, 0, "version 3.1.2 is held live", "kubectl nawhas resume nawhas")
			if now := r.get("nawhas"); now.Annotations[v1alpha1.AnnotationHold] != "3.1.2" || now.Spec.Version != before {
				t.Errorf("%v, spec.version %s", now.Annotations, now.Spec.Version)
			}
		})
	}
}

// sentBack makes of a switched release one whose new version failed.
func sentBack(release *v1alpha1.NawhasRelease) {
	status := &release.Status
	status.Live = "3.1.2"
	status.Versions[0].Role, status.Versions[0].Held = v1alpha1.RoleWarm, "its pods lost their readiness"
	status.Versions[1].Role, status.Versions[1].WarmUntil = v1alpha1.RoleLive, nil
	for i := range status.Conditions {
		c := &status.Conditions[i]
		switch c.Type {
		case v1alpha1.ConditionReady:
			c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonRolledBack, "version 3.2.0 was sent back; raise spec.retry to 1 to try it again"
		case v1alpha1.ConditionStalled:
			c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonRolledBack
		case v1alpha1.ConditionSwitched, v1alpha1.ConditionFenced:
			c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonPending
		}
	}
}

func TestSuspendAndResume(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")
	r.run("resume").expect(t, exitFailed, "not suspended, and no version is held")
	r.run("suspend").expect(t, 0, "nothing is begun, switched or removed until `kubectl nawhas resume nawhas")
	if !r.get("nawhas").Spec.Suspend {
		t.Fatal("spec.suspend is false")
	}
	r.run("suspend").expect(t, exitFailed, "suspended already", "kubectl nawhas resume")
	r.run("resume").expect(t, 0, "the release goes on; spec.version is 3.2.0")
	if r.get("nawhas").Spec.Suspend {
		t.Error("spec.suspend is true")
	}
}

func suspended(release *v1alpha1.NawhasRelease) { release.Spec.Suspend = true }

// What is set while a release is suspended waits, and says so.
func TestChangesOfASuspendedRelease(t *testing.T) {
	const waits = "nothing is begun or switched until `kubectl nawhas resume nawhas -n room-"
	for name, test := range map[string]struct {
		recording, args string
		change          func(*v1alpha1.NawhasRelease)
		done            func(*v1alpha1.NawhasRelease) bool
	}{
		"rollback": {"switched", "rollback", func(*v1alpha1.NawhasRelease) {}, func(r *v1alpha1.NawhasRelease) bool { return r.Spec.Version == "3.1.2" }},
		"promote":  {"waiting", "promote", func(*v1alpha1.NawhasRelease) {}, func(r *v1alpha1.NawhasRelease) bool { return r.Spec.Promotion.Approved == "3.2.0" }},
		"retry":    {"switched", "retry", sentBack, func(r *v1alpha1.NawhasRelease) bool { return r.Spec.Retry == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.recorded(test.recording, suspended, test.change)
			r.run(test.args).expect(t, 0, waits)
			if release := r.get("nawhas"); !release.Spec.Suspend || !test.done(release) {
				t.Errorf("the spec is %+v", release.Spec)
			}
		})
	}
}

// Resume lets the release go back to where somebody wanted it to stay.
func TestAHoldOfASuspendedReleaseOutlastsItsResume(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", suspended)
	r.run("rollback", "--hold").expect(t, 0, "version 3.1.2 is held live", "nothing is begun or switched until `kubectl nawhas resume", "once more")
	r.run("resume").expect(t, 0, "the release goes on; version 3.1.2 is still held")
	if now := r.get("nawhas"); now.Spec.Suspend || now.Annotations[v1alpha1.AnnotationHold] != "3.1.2" {
		t.Errorf("suspended is %t, and %v", now.Spec.Suspend, now.Annotations)
	}
	r.run("resume").expect(t, 0, "version 3.1.2 is no longer held")
}

func TestAbortAndHoldAndResume(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")
	r.run("abort", "--hold").expect(t, 0, "version 3.1.2 is held live")
	if now := r.get("nawhas"); now.Annotations[v1alpha1.AnnotationHold] != "3.1.2" || now.Spec.Version != "3.2.0" {
		t.Fatalf("%v, spec.version %s", now.Annotations, now.Spec.Version)
	}
	r.run("abort").expect(t, exitFailed, "held live already")
	r.run("resume").expect(t, 0, "version 3.1.2 is no longer held; spec.version is 3.2.0")
	if held, is := r.get("nawhas").Annotations[v1alpha1.AnnotationHold]; is {
		t.Errorf("version %s is still held", held)
	}
}
