package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// fullClient has no room for the Jobs of a step.
type fullClient struct {
	client.Client
	stage string
}

func (c *fullClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if job, is := object.(*batchv1.Job); is && job.Labels[v1alpha1.LabelStage] == c.stage {
		return apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, job.Name,
			errors.New("exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=9, limited: count/jobs.batch=9"))
	}
	return c.Client.Patch(ctx, object, patch, options...)
}

// observedWithoutRoom is a world whose second version is live, and cannot be
// verified again.
func observedWithoutRoom(t *testing.T) (*world, *fullClient) {
	t.Helper()
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	full := &fullClient{w.reconciler.Client, observeStep}
	w.reconciler.Client = full
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.kubelet.wait(5 * time.Second)
	w.settle()
	return w, full
}

func TestAVerificationThatTheClusterRefusesIsToldWhileTheRestIsWatched(t *testing.T) {
	w, _ := observedWithoutRoom(t)
	release := w.get()
	stalled := conditionOf(release, v1alpha1.ConditionStalled)
	if stalled.Reason != v1alpha1.ReasonSpecRefused || !strings.Contains(stalled.Message, "exceeded quota: few") || !strings.Contains(stalled.Message, "have it allowed") {
		t.Errorf("it is not told:\n%s", w.told())
	}
	if !isTrue(release, v1alpha1.ConditionReady) || !isTrue(release, v1alpha1.ConditionFenced) || release.Status.Live != "3.2.0" {
		t.Fatalf("the version is held responsible:\n%s", w.told())
	}

	w.fails("3.2.0")
	w.until("sent back", isHeldAt("3.1.2"))
}

func TestAVerificationThatWasRefusedIsMadeWhenThereIsRoom(t *testing.T) {
	w, full := observedWithoutRoom(t)
	full.stage = ""
	w.kubelet.refuse = map[string]int32{observeStep: exitUnproven}
	w.until("sent back", isHeldAt("3.1.2"))
}

func TestAVersionThatCouldNotBeVerifiedAgainIsNotWatchedForEver(t *testing.T) {
	w, _ := observedWithoutRoom(t)
	w.kubelet.wait(3 * time.Minute)
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" || versionOf(release, "3.2.0").ObservedUntil != nil || isTrue(release, v1alpha1.ConditionStalled) {
		t.Errorf("it does not come to its end:\n%s", w.told())
	}
	if !w.recorded("VerificationUnknown") {
		t.Error("no Event tells that it was not verified")
	}
}

// A verification that passed is no news.
func TestAVersionThatIsVerifiedAgainIsWatchedInSilence(t *testing.T) {
	w := twoVersions(t)
	w.kubelet.wait(3 * time.Minute)
	w.settle()
	if versionOf(w.get(), "3.2.0").ObservedUntil != nil || w.recorded("VerificationUnknown") {
		t.Errorf("its verification is not known:\n%s", w.told())
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for want, said := range map[string]string{
		v1alpha1.ReasonMissingRights: `User "system:serviceaccount:nawhas:operator" cannot patch resource "jobs" in API group "batch" in the namespace "library"`,
		v1alpha1.ReasonSpecRefused:   `admission webhook "images.example" denied the request: the registry is not allowed`,
	} {
		err := fmt.Errorf("apply Job observe: %w", apierrors.NewForbidden(jobs, "observe", errors.New(said)))
		if found := explain(err); found.reason != want || !strings.Contains(found.message, said) {
			t.Errorf("%s: %+v", want, found)
		}
	}
}
