package release

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	selector := labels.NewSelector().Add(*ours)
	return cache.Options{
		DefaultNamespaces: namespaced(namespaces),
		DefaultTransform:  slim,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                {Label: selector, Transform: slimPod},
			&batchv1.Job{}:               {Label: selector, Transform: slimJob},
			&corev1.Secret{}:             {Label: selector},
			&corev1.Service{}:            {Transform: slimService},
			&appsv1.Deployment{}:         {Label: selector, Transform: slimDeployment},
			&appsv1.ControllerRevision{}: {Label: selector},
			&discoveryv1.EndpointSlice{}: {Label: selector, Transform: slimSlice},

			&autoscalingv2.HorizontalPodAutoscaler{}: {Label: selector},
			&policyv1.PodDisruptionBudget{}:          {Label: selector},
		},
	}
}

// SecretsCacheOptions keep of all Secrets that they exist and when they changed.
func SecretsCacheOptions(namespaces []string) cache.Options {
	return cache.Options{DefaultNamespaces: namespaced(namespaces), DefaultTransform: slimMetadata}
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

// slim drops what others keep in an object and nobody here reads.
func slim(object any) (any, error) {
	known, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a tombstone is kept as it is
	}
	known.SetManagedFields(nil)
	if annotations := known.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
	}
	return object, nil
}

// slimService keeps, besides what slim does, which fields this operator wrote: see
// expose.
func slimService(object any) (any, error) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	own := ownEntries(service.ManagedFields)
	slimmed, err := slim(service)
	service.ManagedFields = own
	return slimmed, err
}

// slimDeployment drops what its controller says besides the numbers of pods.
func slimDeployment(object any) (any, error) {
	d, ok := object.(*appsv1.Deployment)
	if !ok {
		return object, nil
	}
	d.ManagedFields, d.Status.Conditions = nil, nil
	return d, nil
}

// slimSlice drops what only nodes need: addresses, ports, zones.
func slimSlice(object any) (any, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return object, nil
	}
	slice.ManagedFields, slice.Annotations, slice.OwnerReferences, slice.Ports = nil, nil, nil, nil
	slice.Labels = only(slice.Labels, v1alpha1.LabelRelease, discoveryv1.LabelServiceName)
	for i := range slice.Endpoints {
		kept := discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: slice.Endpoints[i].Conditions.Ready}}
		if target := slice.Endpoints[i].TargetRef; target != nil {
			kept.TargetRef = &corev1.ObjectReference{Name: target.Name}
		}
		slice.Endpoints[i] = kept
	}
	return slice, nil
}

// slimPod drops what a pod was made from, which its owner's template says, and
// what others keep in it.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.ManagedFields = nil
	pod.Spec = corev1.PodSpec{}
	pod.Labels = only(pod.Labels, v1alpha1.LabelRelease, v1alpha1.LabelVersion, v1alpha1.LabelWorkload, v1alpha1.LabelStage, batchv1.JobNameLabel)
	pod.Annotations = only(pod.Annotations, v1alpha1.AnnotationDrained, v1alpha1.AnnotationCredentials)
	pod.Status.HostIPs, pod.Status.PodIPs = nil, nil
	slimStatuses(pod.Status.InitContainerStatuses)
	slimStatuses(pod.Status.ContainerStatuses)
	var conditions []corev1.PodCondition
	for _, condition := range pod.Status.Conditions {
		switch condition.Type {
		case corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled:
			conditions = append(conditions, condition)
		}
	}
	pod.Status.Conditions = conditions
	return pod, nil
}

// slimStatuses leaves of containers what they run and why they do not.
func slimStatuses(statuses []corev1.ContainerStatus) {
	for i := range statuses {
		s := &statuses[i]
		s.ContainerID, s.AllocatedResources, s.AllocatedResourcesStatus, s.Resources, s.VolumeMounts, s.User = "", nil, nil, nil, nil, nil
	}
}

// slimJob drops the pod template but for what tells an outdated Job from a valid
// one: the image, and variables with values. Of the rest it keeps whether the Job
// may run at all.
func slimJob(object any) (any, error) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return object, nil
	}
	job.ManagedFields = nil
	slim := make([]corev1.Container, 0, 1)
	if containers := job.Spec.Template.Spec.Containers; len(containers) > 0 {
		container := corev1.Container{Name: containers[0].Name, Image: containers[0].Image}
		for _, variable := range containers[0].Env {
			if variable.ValueFrom == nil {
				container.Env = append(container.Env, variable)
			}
		}
		slim = append(slim, container)
	}
	job.Spec = batchv1.JobSpec{Suspend: job.Spec.Suspend, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: slim}}}
	return job, nil
}

// only keeps some keys.
func only(all map[string]string, keys ...string) map[string]string {
	kept := make(map[string]string, len(keys))
	for _, key := range keys {
		if value, ok := all[key]; ok {
			kept[key] = value
		}
	}
	return kept
}

func slimMetadata(object any) (any, error) {
	known, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	known.ObjectMeta = metav1.ObjectMeta{Namespace: known.Namespace, Name: known.Name, UID: known.UID, ResourceVersion: known.ResourceVersion}
	return known, nil
}
