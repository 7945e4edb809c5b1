package release

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Whoever reads it has to know whom to ask: the cluster's administrator for a right of
// the operator, or the one who wrote the spec.
func TestWhatTheAPIServerRefusesIsToldApart(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	ending := apierrors.NewForbidden(jobs, "migrate", errors.New("unable to create new content in namespace a because it is being terminated"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		err             error
		reason, message string
	}{
		"a right": {err: apierrors.NewForbidden(jobs, "migrate", errors.New(`User "system:serviceaccount:a:b" cannot patch resource "jobs" in API group "batch"`)),
			reason: v1alpha1.ReasonMissingRights, message: "service account"},
		"a quota":          {err: apierrors.NewForbidden(jobs, "migrate", errors.New("exceeded quota: few, requested: count/jobs.batch=1")), reason: v1alpha1.ReasonSpecRefused, message: "quota"},
		"a webhook":        {err: apierrors.NewForbidden(jobs, "migrate", errors.New(`admission webhook "policy" denied the request: no latest tags`)), reason: v1alpha1.ReasonSpecRefused, message: "no latest tags"},
		"a wrong field":    {err: apierrors.NewInvalid(schema.GroupKind{Kind: "Job"}, "migrate", nil), reason: v1alpha1.ReasonSpecRefused, message: "correct it"},
		"a bad request":    {err: apierrors.NewBadRequest("no such field"), reason: v1alpha1.ReasonSpecRefused, message: "correct it"},
		"an end":           {err: ending, reason: v1alpha1.ReasonInternal, message: "being terminated"},
		"a busy server":    {err: apierrors.NewTooManyRequestsError("later"), reason: v1alpha1.ReasonInternal, message: "later"},
		"a server's fault": {err: apierrors.NewInternalError(errors.New("failed calling webhook")), reason: v1alpha1.ReasonInternal, message: "failed calling webhook"},
	} {
		if got := explain(c.err); got.reason != c.reason || !strings.Contains(got.message, c.message) {
			t.Errorf("%s: %s, %s", name, got.reason, got.message)
		}
	}
}
