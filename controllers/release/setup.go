package release

import (
	"context"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	registry "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

const (
	// indexSecrets finds the releases that name a Secret.
	indexSecrets = "spec.secrets"
	// indexRelease finds what belongs to a release, among what belongs to all.
	indexRelease = "release"
)

// SetupWithManager watches releases and everything that can change their course:
// what they own, their pods, the Secrets that they name, and by polling their
// databases. The metadata of others' Secrets is in a cache of its own (see
// [SecretsCacheOptions]).
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, secrets cache.Cache) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.NawhasRelease{}, indexSecrets, secretsOf); err != nil {
		return err
	}
	for _, kind := range []client.Object{&appsv1.Deployment{}, &appsv1.ControllerRevision{}, &batchv1.Job{}, &corev1.Service{}, &corev1.Pod{},
		&discoveryv1.EndpointSlice{}, &autoscalingv2.HorizontalPodAutoscaler{}, &policyv1.PodDisruptionBudget{}} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, kind, indexRelease, labelled); err != nil {
			return err
		}
	}
	r.indexed = true
	for _, collector := range append(r.metrics.own(), r.metrics) {
		if err := registry.Registry.Register(collector); err != nil {
			return err
		}
	}
	if err := mgr.Add(withCache{secrets}); err != nil {
		return err
	}
	r.Live = mgr.GetAPIReader()
	r.Client = newPatientClient(r.Client, r.Live)
	r.Secrets = &Secrets{Cached: r.Client, Metadata: secrets, Live: r.Live}
	return ctrl.NewControllerManagedBy(mgr).
		Named("nawhasrelease").
		For(&v1alpha1.NawhasRelease{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Owns(&appsv1.Deployment{}).
		Owns(&appsv1.ControllerRevision{}).
		Owns(&batchv1.Job{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.Secret{}).
		Owns(&autoscalingv2.HorizontalPodAutoscaler{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(releaseOf)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(releaseOf)).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.releasesNaming)).
		WatchesRawSource(source.Kind(secrets, secretMetadata(), handler.TypedEnqueueRequestsFromMapFunc(
			func(ctx context.Context, secret *metav1.PartialObjectMetadata) []reconcile.Request {
				return r.releasesNaming(ctx, secret)
			}))).
		WatchesRawSource(r.pollers).
		WatchesRawSource(r.asker).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.settings.Concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](pollFast, pollSlow),
			LogConstructor: func(request *reconcile.Request) logr.Logger {
				if request == nil {
					return mgr.GetLogger()
				}
				return mgr.GetLogger().WithValues("release", request.String())
			},
		}).
		Complete(r)
}

// withCache has the manager start a cache with its own, before it leads.
type withCache struct{ cache.Cache }

// GetCache is what the manager knows such a thing by.
func (w withCache) GetCache() cache.Cache { return w.Cache }

func secretMetadata() *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return secret
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
	err := r.Client.List(ctx, &found, client.InNamespace(secret.GetNamespace()), client.MatchingFields{indexSecrets: secret.GetName()},
		client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the releases that name a Secret", "secret", secret.GetName())
		return nil
	}
	if len(found.Items) == 0 {
		r.Secrets.forget(client.ObjectKeyFromObject(secret))
	}
	requests := make([]reconcile.Request, 0, len(found.Items))
	for i := range found.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
	}
	return requests
}

// labelled is the value of the label that names an object's release.
func labelled(object client.Object) []string {
	if name := object.GetLabels()[v1alpha1.LabelRelease]; name != "" {
		return []string{name}
	}
	return nil
}

// own lists what belongs to a release. It is what the cache holds, not a copy, and
// must not be changed.
func (r *Reconciler) own(s *scope) []client.ListOption {
	options := []client.ListOption{
		client.InNamespace(s.release.Namespace), client.MatchingLabels{v1alpha1.LabelRelease: s.release.Name}, client.UnsafeDisableDeepCopy,
	}
	if r.indexed {
		options = append(options, client.MatchingFields{indexRelease: s.release.Name})
	}
	return options
}

// releaseOf finds the release of a pod or an EndpointSlice by its label.
func releaseOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1alpha1.LabelRelease]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: name}}}
}
