package release

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	registry "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// concurrency is how many releases are worked on at once, so that one whose
// server does not answer delays few others.
const concurrency = 8

// indexSecrets finds the releases that name a Secret.
const indexSecrets = "spec.secrets"

// SetupWithManager watches releases and everything that can change their course:
// what they own, their pods, and the Secrets that they name.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.NawhasRelease{}, indexSecrets, secretsOf); err != nil {
		return err
	}
	if err := registry.Registry.Register(r.metrics); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("nawhasrelease").
		For(&v1alpha1.NawhasRelease{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Owns(&appsv1.Deployment{}).
		Owns(&appsv1.ControllerRevision{}).
		Owns(&batchv1.Job{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.Secret{}).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.releasesNaming)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(releaseOf)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(releaseOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](pollFast, pollSlow),
		}).
		Complete(r)
}

func secretsOf(object client.Object) []string {
	release, ok := object.(*v1alpha1.NawhasRelease)
	if !ok {
		return nil
	}
	var names []string
	for _, c := range []v1alpha1.ConnectionSpec{release.Spec.Source.Connection, release.Spec.Databases.Connection} {
		names = append(names, c.SecretKeyRef.Name)
		if c.CASecretKeyRef != nil {
			names = append(names, c.CASecretKeyRef.Name)
		}
	}
	return names
}

func (r *Reconciler) releasesNaming(ctx context.Context, secret client.Object) []reconcile.Request {
	var found v1alpha1.NawhasReleaseList
	err := r.Client.List(ctx, &found, client.InNamespace(secret.GetNamespace()), client.MatchingFields{indexSecrets: secret.GetName()})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the releases that name a Secret", "secret", secret.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(found.Items))
	for i := range found.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
	}
	return requests
}

// releaseOf finds the release of a pod or an EndpointSlice by its label.
func releaseOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1alpha1.LabelRelease]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: name}}}
}
