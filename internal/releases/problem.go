package releases

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Problem is an error as a user should read it: what is wrong, and what to do.
type Problem struct {
	What   string
	Advice string
	// Usage tells that the command line has to change, Unread that the cluster
	// could not be asked at all.
	Usage, Unread bool
	// Silent tells that the API server does not answer, which may be over soon.
	Silent bool

	cause error
}

func (p *Problem) Error() string { return p.What + "\n" + p.Advice }
func (p *Problem) Unwrap() error { return p.cause }

// notOne says why there is no release that a command without a name could mean.
func notOne(namespace string, all []v1alpha1.NawhasRelease) error {
	if len(all) == 0 {
		return &Problem{Usage: true, What: fmt.Sprintf("there is no NawhasRelease in namespace %q", namespace),
			Advice: "Name another namespace with -n; `kubectl get nr -A` lists all releases."}
	}
	var names []string
	for _, release := range all {
		names = append(names, release.Name)
	}
	return &Problem{Usage: true, What: fmt.Sprintf("namespace %q has %d releases: %s", namespace, len(names), strings.Join(names, ", ")),
		Advice: "Name the one you mean, as in `kubectl nawhas status " + names[0] + "`."}
}

// Explain finds what to do about an error of talking to the cluster. Others are
// returned as they are.
func Explain(err error) error {
	if known, ok := errors.AsType[*Problem](err); ok {
		return known
	}
	if problem := explainCluster(err); problem != nil {
		problem.cause = err
		return problem
	}
	return err
}

func explainCluster(err error) *Problem {
	switch {
	case meta.IsNoMatchError(err), discovery.IsGroupDiscoveryFailedError(err), strings.Contains(err.Error(), "the server could not find the requested resource"):
		return &Problem{Unread: true, What: "this cluster does not know NawhasReleases",
			Advice: "Install the operator and its definitions, or choose another cluster with --context."}
	case apierrors.IsForbidden(err):
		return &Problem{Unread: true, What: err.Error(),
			Advice: "Ask an administrator of the namespace for a RoleBinding to ClusterRole nawhasrelease-viewer (to look) or nawhasrelease-editor (to release); " +
				"logs, pods and Jobs need Kubernetes' own view or edit."}
	case apierrors.IsUnauthorized(err):
		return &Problem{Unread: true, What: "the cluster does not accept your credentials", Advice: "Log in again, or choose another user with --context."}
	case apierrors.IsConflict(err):
		return &Problem{What: "somebody else has changed the release at the same time; nothing was changed", Advice: "Look at it with `kubectl nawhas status`, and try again."}
	case apierrors.IsNotFound(err):
		return &Problem{Usage: true, What: err.Error(), Advice: "`kubectl get nr -A` lists all releases."}
	case strings.Contains(err.Error(), strict):
		_, field, _ := strings.Cut(err.Error(), strict)
		return &Problem{What: "the cluster's definition of NawhasRelease is older than this program; nothing was changed: " + field,
			Advice: "Upgrade the operator with its definitions, or use the kubectl-nawhas that came with it."}
	case apierrors.IsInvalid(err):
		return &Problem{What: "the cluster refuses the change: " + causes(err), Advice: "Nothing was changed. Correct what the message names."}
	case busy(err):
		return &Problem{Unread: true, Silent: true, What: "the API server cannot answer now: " + err.Error(),
			Advice: "Try again in a while; see how the cluster is (`kubectl get --raw /readyz`). What is live goes on serving without it."}
	}
	return explainNetwork(err)
}

// busy reports whether the API server, or what stands before it, answered that
// it cannot do it now: it starts, is overloaded, or something behind it is away.
func busy(err error) bool {
	status, known := errors.AsType[*apierrors.StatusError](err)
	return known && (status.Status().Code >= http.StatusInternalServerError || apierrors.IsTooManyRequests(err))
}

// strict stands before the fields that a strict API server does not know.
const strict = "strict decoding error: "

// causes are the messages about fields of an invalid object, without the object.
func causes(err error) string {
	status, known := errors.AsType[*apierrors.StatusError](err)
	if !known || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return err.Error()
	}
	var messages []string
	for _, cause := range status.Status().Details.Causes {
		messages = append(messages, strings.TrimPrefix(cause.Field+": "+cause.Message, ": "))
	}
	return strings.Join(messages, "; ")
}

func explainNetwork(err error) *Problem {
	var network net.Error
	var address *url.Error
	if !errors.As(err, &network) && !errors.As(err, &address) {
		return nil
	}
	server := "the API server"
	if errors.As(err, &address) {
		if parsed, failed := url.Parse(address.URL); failed == nil {
			server += " at " + parsed.Host
		}
	}
	return &Problem{Unread: true, Silent: true, What: fmt.Sprintf("%s does not answer: %v", server, cause(err)),
		Advice: "See whether the cluster is there (`kubectl cluster-info`) and whether --context names the right one. What is live goes on serving without it."}
}

// cause is the innermost error, which says what happened without the address.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
