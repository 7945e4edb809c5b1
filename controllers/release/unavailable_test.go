package release

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestARefusalIsToldFromWhatCannotBeDoneNow(t *testing.T) {
	of := schema.GroupResource{Group: "apps", Resource: "deployments"}
	status := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}}
	}
	for name, c := range map[string]struct {
		err    error
		reason string
	}{
		"a name":                  {apierrors.NewInvalid(schema.GroupKind{Kind: "Deployment"}, "api", nil), v1alpha1.ReasonSpecRefused},
		"a quantity":              {apierrors.NewBadRequest("quantities must match"), v1alpha1.ReasonSpecRefused},
		"a webhook's refusal":     {status(400, `admission webhook "images" denied the request: not signed`), v1alpha1.ReasonSpecRefused},
		"a webhook that forbids":  {apierrors.NewForbidden(of, "api", errors.New("not signed")), v1alpha1.ReasonSpecRefused},
		"a quota":                 {apierrors.NewForbidden(of, "api", errors.New("exceeded quota: few, requested: count/deployments.apps=1")), v1alpha1.ReasonSpecRefused},
		"a right":                 {apierrors.NewForbidden(of, "api", errors.New(`User "operator" cannot patch resource "deployments"`)), v1alpha1.ReasonMissingRights},
		"too many requests":       {apierrors.NewTooManyRequests("slow down", 1), v1alpha1.ReasonAPIServerUnavailable},
		"a webhook that is away":  {apierrors.NewInternalError(errors.New(`failed calling webhook "images"`)), v1alpha1.ReasonAPIServerUnavailable},
		"a server that starts":    {apierrors.NewServiceUnavailable("not ready"), v1alpha1.ReasonAPIServerUnavailable},
		"a timeout":               {apierrors.NewTimeoutError("too slow", 1), v1alpha1.ReasonAPIServerUnavailable},
		"a timeout of the server": {apierrors.NewServerTimeout(of, "patch", 1), v1alpha1.ReasonAPIServerUnavailable},
		"another etcd leader":     {status(500, "etcdserver: leader changed"), v1alpha1.ReasonAPIServerUnavailable},
		"a conflict":              {apierrors.NewConflict(of, "api", errors.New("the object has been modified")), v1alpha1.ReasonAPIServerUnavailable},
		"no answer":               {&url.Error{Op: "Patch", URL: "https://10.0.0.1", Err: syscall.ECONNREFUSED}, v1alpha1.ReasonAPIServerUnavailable},
		"the operator's end":      {&url.Error{Op: "Patch", URL: "https://10.0.0.1", Err: context.Canceled}, v1alpha1.ReasonInternal},
		"something else":          {errors.New("something else"), v1alpha1.ReasonInternal},
	} {
		if got := explain(fmt.Errorf("apply Deployment api: %w", c.err)); got.reason != c.reason {
			t.Errorf("%s: %s, %s", name, got.reason, got.message)
		}
	}
}

// failing refuses to write Deployments, tried or not.
type failing struct {
	client.Client
	err error
}

func (c *failing) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if _, is := object.(*appsv1.Deployment); is && c.err != nil {
		return c.err
	}
	return c.Client.Patch(ctx, object, patch, options...)
}

// What the API server cannot do for a moment is tried again, and told only when it
// lasts.
func TestAMomentWithoutTheAPIServerIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	away := &failing{Client: cluster, err: apierrors.NewInternalError(errors.New(`failed calling webhook "images"`))}
	w.restart(away)
	w.release("3.2.0")

	for range 5 {
		if _, err := w.pass(); !apierrors.IsInternalError(err) {
			t.Fatalf("the pass is not tried again soon: %v", err)
		}
		w.kubelet.wait(10 * time.Second)
	}
	release := w.get()
	if isTrue(release, v1alpha1.ConditionStalled) || conditionOf(release, v1alpha1.ConditionDatabaseReady).Reason != v1alpha1.ReasonSucceeded {
		t.Errorf("it is told at once:\n%s", w.told())
	}
	w.kubelet.wait(untoldFor)
	release = w.until("told", func(r *v1alpha1.NawhasRelease) bool { return isTrue(r, v1alpha1.ConditionStalled) })
	if reason := conditionOf(release, v1alpha1.ConditionDatabaseReady).Reason; reason != v1alpha1.ReasonAPIServerUnavailable || release.Status.Live != "3.1.2" {
		t.Errorf("after a minute it says %s:\n%s", reason, w.told())
	}
	away.err = nil
	w.until("live", isLive("3.2.0"))
}

// What the cluster does not allow is told at once, and goes on when it is allowed.
func TestWhatTheClusterDoesNotAllowIsTold(t *testing.T) {
	w := newWorld(t)
	of := schema.GroupResource{Group: "apps", Resource: "deployments"}
	full := &failing{Client: cluster, err: apierrors.NewForbidden(of, "nawhas-api-3-1-2", errors.New("exceeded quota: few"))}
	w.restart(full)
	w.newRelease()
	if result, err := w.pass(); err != nil || result.RequeueAfter != pollSlow {
		t.Errorf("it is tried again after %s: %v", result.RequeueAfter, err)
	}
	if told := conditionOf(w.get(), v1alpha1.ConditionStalled); told.Reason != v1alpha1.ReasonSpecRefused || !strings.Contains(told.Message, "exceeded quota: few") {
		t.Errorf("it is not told at once:\n%s", w.told())
	}
	full.err = nil
	w.until("live", isLive("3.1.2"))
}
