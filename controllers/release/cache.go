package release

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// CacheOptions keep in memory what belongs to releases, in the given namespaces
// or in all, and of that only what the reconciler reads. What may stand where the
// reconciler wants to make something is asked of the API server (see find).
func CacheOptions(namespaces []string) cache.Options {
	ours, err := labels.NewRequirement(v1alpha1.LabelRelease, selection.Exists, nil)
	utilruntime.Must(err)
	selector, small := labels.NewSelector().Add(*ours), &slimmer{}
	return cache.Options{
		DefaultNamespaces: namespaced(namespaces),
		DefaultTransform:  small.object,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.NawhasRelease{}:    {Transform: small.release},
			&corev1.Pod{}:                {Label: selector, Transform: small.pod},
			&batchv1.Job{}:               {Label: selector, Transform: small.job},
			&corev1.Secret{}:             {Label: selector, Transform: small.secret},
			&corev1.Service{}:            {Transform: small.service},
			&appsv1.Deployment{}:         {Label: selector, Transform: small.deployment},
			&appsv1.ControllerRevision{}: {Label: selector},
			&discoveryv1.EndpointSlice{}: {Label: selector, Transform: small.slice},

			&autoscalingv2.HorizontalPodAutoscaler{}: {Label: selector},
			&policyv1.PodDisruptionBudget{}:          {Label: selector},
		},
	}
}

// SecretsCacheOptions keep of all other Secrets that they exist and when they changed.
func SecretsCacheOptions(namespaces []string) cache.Options {
	others, err := labels.NewRequirement(v1alpha1.LabelRelease, selection.DoesNotExist, nil)
	utilruntime.Must(err)
	return cache.Options{DefaultNamespaces: namespaced(namespaces), DefaultTransform: (&slimmer{}).existence, DefaultLabelSelector: labels.NewSelector().Add(*others)}
}

func namespaced(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, namespace := range namespaces {
		all[strings.TrimSpace(namespace)] = cache.Config{}
	}
	return all
}
