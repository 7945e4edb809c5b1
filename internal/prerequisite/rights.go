package prerequisite

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// watched are the kinds that the controller watches. Other rights that it lacks
// are told by the release that needs them (MissingRights); these it would wait for.
var watched = []struct{ group, resource string }{
	{v1alpha1.GroupVersion.Group, "nawhasreleases"},
	{"apps", "deployments"}, {"apps", "controllerrevisions"}, {"batch", "jobs"},
	{"", "services"}, {"", "secrets"}, {"", "pods"}, {"discovery.k8s.io", "endpointslices"},
	{"autoscaling", "horizontalpodautoscalers"}, {"policy", "poddisruptionbudgets"},
}

// RightsError says which rights the operator's service account lacks.
type RightsError struct {
	// Rights are such as "list secrets in namespace nawhas".
	Rights []string
}

func (e *RightsError) Error() string {
	return fmt.Sprintf("the operator's service account may not %s: install its roles (config/rbac, or the chart with the same watchNamespaces), or name the namespaces "+
		"in which it has them with --watch-namespace", strings.Join(e.Rights, ", "))
}

// checkRights asks the API server, which answers this to everybody.
func checkRights(ctx context.Context, reviews authorization.SelfSubjectAccessReviewInterface, namespaces []string) error {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	var missing []string
	for _, namespace := range namespaces {
		for _, kind := range watched {
			for _, verb := range []string{"list", "watch"} {
				asked := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Verb: verb, Group: kind.group, Resource: kind.resource,
				}}}
				answer, err := reviews.Create(ctx, asked, metav1.CreateOptions{})
				if err != nil {
					return fmt.Errorf("ask what the operator may do: %w", err)
				}
				if !answer.Status.Allowed {
					missing = append(missing, fmt.Sprintf("%s %s in %s", verb, kind.resource, placeOf(namespace)))
				}
			}
		}
	}
	if len(missing) > 0 {
		return &RightsError{Rights: missing}
	}
	return nil
}

func placeOf(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return "all namespaces"
	}
	return "namespace " + namespace
}
