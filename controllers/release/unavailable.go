package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// untoldFor is how long the API server may fail to do what it is asked before a
// release says so. A restart of it, another etcd leader or a webhook that is
// updated take less, and ask for nobody.
const untoldFor = time.Minute

// explainAPIServer tells what the API server refuses from what it cannot do now.
func explainAPIServer(err error) (trouble, bool) {
	switch {
	case unavailable(err):
		return trouble{v1alpha1.ReasonAPIServerUnavailable,
			fmt.Sprintf("the API server, or a webhook that it asks, cannot do now what it is asked: %v; it is tried again by itself", err)}, true
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return trouble{v1alpha1.ReasonSpecRefused, "the API server refuses what the spec asks for; correct it: " + err.Error()}, true
	case apierrors.IsForbidden(err) && !unauthorized(err):
		return trouble{v1alpha1.ReasonSpecRefused, "the cluster does not allow what the spec asks for; correct it, or have it allowed: " + err.Error()}, true
	case apierrors.IsForbidden(err):
		return trouble{v1alpha1.ReasonMissingRights, "the operator's service account lacks a right: " + err.Error()}, true
	}
	return trouble{}, false
}

// unauthorized reports whether a request was forbidden because of who made it, and
// not because of what it asks for, as a quota, a policy or a webhook does: only
// then does the API server name the user.
func unauthorized(err error) bool {
	return strings.Contains(err.Error(), `User "`) && strings.Contains(err.Error(), " cannot ")
}

// unavailable reports whether the same request may be granted a moment later:
// there was no answer, the server is too busy or has no etcd leader, a webhook
// cannot be called, or somebody else changed the object meanwhile.
func unavailable(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		// The client of the API server says so of every request that fails; the
		// context of one that nobody waits for any more is no failure.
		_, silent := errors.AsType[*url.Error](err)
		return silent && !errors.Is(err, context.Canceled)
	}
	return status.Status().Code >= http.StatusInternalServerError || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// untold reports whether a pass failed for what the API server could not do, and
// not for long enough to be told. Any other pass ends such a time.
func (r *Reconciler) untold(s *scope, err error) bool {
	key := client.ObjectKeyFromObject(s.release)
	if err == nil || explain(err).reason != v1alpha1.ReasonAPIServerUnavailable {
		r.unavailable.Delete(key)
		return false
	}
	first, _ := r.unavailable.LoadOrStore(key, s.now)
	since, _ := first.(time.Time)
	return s.now.Sub(since) < untoldFor
}
