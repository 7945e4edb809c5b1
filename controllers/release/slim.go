package release

import (
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// slimmer makes the objects of the cache as small as they can be: it drops what
// nobody here reads, and keeps texts that many objects have once. It is safe for
// concurrent use.
type slimmer struct {
	mu    sync.Mutex
	texts map[string]string
}

// mostTexts is when the texts are forgotten, so that those of objects that are gone
// are not kept for ever. Objects in the cache keep what they have.
const mostTexts = 20_000

// shared is a text of which there is one copy.
func (s *slimmer) shared(text string) string {
	if text == "" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.texts[text]; ok {
		return known
	}
	if s.texts == nil || len(s.texts) >= mostTexts {
		s.texts = map[string]string{}
	}
	s.texts[text] = text
	return text
}

// object drops what others keep in an object and nobody here reads.
func (s *slimmer) object(object any) (any, error) { return s.labelled(object) }

// labelled does what object does, and keeps of the labels only some, or all when none
// is named.
func (s *slimmer) labelled(object any, keys ...string) (any, error) {
	known, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a tombstone is kept as it is
	}
	known.SetManagedFields(nil)
	if annotations := known.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
	}
	known.SetNamespace(s.shared(known.GetNamespace()))
	known.SetLabels(s.labels(known.GetLabels(), keys...))
	known.SetOwnerReferences(s.owners(known.GetOwnerReferences()))
	return object, nil
}

// release shares what the statuses of all releases say.
func (s *slimmer) release(object any) (any, error) {
	release, ok := object.(*v1alpha1.NawhasRelease)
	if !ok {
		return object, nil
	}
	conditions := release.Status.Conditions
	for i := range conditions {
		c := &conditions[i]
		c.Type, c.Status, c.Reason = s.shared(c.Type), metav1.ConditionStatus(s.shared(string(c.Status))), s.shared(c.Reason)
	}
	for i := range release.Status.Versions {
		v := &release.Status.Versions[i]
		v.Version, v.Role, v.Image = s.shared(v.Version), v1alpha1.VersionRole(s.shared(string(v.Role))), s.shared(v.Image)
		for j := range v.Stages {
			v.Stages[j].Name = s.shared(v.Stages[j].Name)
		}
	}
	return s.object(release)
}

// labels are all labels, or some.
func (s *slimmer) labels(all map[string]string, keys ...string) map[string]string {
	if all == nil {
		return nil
	}
	size := len(all)
	if len(keys) > 0 {
		size = min(size, len(keys))
	}
	kept := make(map[string]string, size)
	for key, value := range all {
		if len(keys) == 0 || slices.Contains(keys, key) {
			kept[s.shared(key)] = s.shared(value)
		}
	}
	return kept
}

func (s *slimmer) owners(all []metav1.OwnerReference) []metav1.OwnerReference {
	for i := range all {
		owner := &all[i]
		owner.Controller, owner.BlockOwnerDeletion = sharedBool(owner.Controller), sharedBool(owner.BlockOwnerDeletion)
		owner.APIVersion, owner.Kind = s.shared(owner.APIVersion), s.shared(owner.Kind)
		// A release owns many objects, and a Job one pod.
		if owner.Kind == releaseKind {
			owner.Name, owner.UID = s.shared(owner.Name), types.UID(s.shared(string(owner.UID)))
		}
	}
	return all
}

// variables shares what the variables of many containers are called.
func (s *slimmer) variables(all []corev1.EnvVar) []corev1.EnvVar {
	for i := range all {
		all[i].Name, all[i].Value = s.shared(all[i].Name), s.shared(all[i].Value)
		if from := all[i].ValueFrom; from != nil && from.SecretKeyRef != nil {
			from.SecretKeyRef.Name, from.SecretKeyRef.Key = s.shared(from.SecretKeyRef.Name), s.shared(from.SecretKeyRef.Key)
		}
	}
	return all
}

// secret shares the names of its keys. What it holds is nobody else's.
func (s *slimmer) secret(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return object, nil
	}
	data := make(map[string][]byte, len(secret.Data))
	for key, value := range secret.Data {
		data[s.shared(key)] = value
	}
	secret.Data = data
	return s.object(secret)
}

// service keeps, besides what object does, which fields this operator wrote: see
// expose.
func (s *slimmer) service(object any) (any, error) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	own := ownEntries(service.ManagedFields)
	slimmed, err := s.object(service)
	service.ManagedFields = own
	return slimmed, err
}

// deployment drops what its controller says besides the numbers of pods, and why there
// are none.
func (s *slimmer) deployment(object any) (any, error) {
	d, ok := object.(*appsv1.Deployment)
	if !ok {
		return object, nil
	}
	d.Status.Conditions = refusedPods(d.Status.Conditions)
	template := &d.Spec.Template
	template.Labels = s.labels(template.Labels)
	for i := range template.Spec.Containers {
		container := &template.Spec.Containers[i]
		container.Env = s.variables(slices.Clip(slices.Clone(container.Env)))
		container.TerminationMessagePath, container.Image = s.shared(container.TerminationMessagePath), s.shared(container.Image)
	}
	slimmed, err := s.object(d)
	if maps.Equal(d.Labels, template.Labels) {
		d.Labels = template.Labels
	}
	if selector := d.Spec.Selector; selector != nil && maps.Equal(selector.MatchLabels, template.Labels) {
		selector.MatchLabels = template.Labels
	}
	return slimmed, err
}

// slice drops what only nodes need: addresses, ports, zones.
func (s *slimmer) slice(object any) (any, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return object, nil
	}
	slice.Annotations, slice.OwnerReferences, slice.Ports = nil, nil, nil
	for i := range slice.Endpoints {
		kept := discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: slice.Endpoints[i].Conditions.Ready}}
		if target := slice.Endpoints[i].TargetRef; target != nil {
			kept.TargetRef = &corev1.ObjectReference{Name: target.Name}
		}
		slice.Endpoints[i] = kept
	}
	return s.labelled(slice, v1alpha1.LabelRelease, discoveryv1.LabelServiceName)
}

// pod drops what a pod was made from, which its owner's template says, and what
// others keep in it.
func (s *slimmer) pod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.Annotations = only(pod.Annotations, v1alpha1.AnnotationDrained, v1alpha1.AnnotationCredentials)
	pod.GenerateName = ""
	status := pod.Status
	pod.Spec = corev1.PodSpec{}
	pod.Status = corev1.PodStatus{Phase: corev1.PodPhase(s.shared(string(status.Phase))), StartTime: status.StartTime, Reason: status.Reason, Message: status.Message,
		InitContainerStatuses: s.statuses(status.InitContainerStatuses), ContainerStatuses: s.statuses(status.ContainerStatuses)}
	if pod.Status.Phase == corev1.PodSucceeded {
		pod.Annotations = nil
	} else {
		pod.Status.Conditions = s.podConditions(status.Conditions)
	}
	return s.labelled(pod, v1alpha1.LabelRelease, v1alpha1.LabelVersion, v1alpha1.LabelWorkload, v1alpha1.LabelStage, batchv1.JobNameLabel)
}

// refusedPods is the condition that says why a Deployment's pods are not made, if
// that is so.
func refusedPods(all []appsv1.DeploymentCondition) []appsv1.DeploymentCondition {
	for _, condition := range all {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return []appsv1.DeploymentCondition{{Type: condition.Type, Status: condition.Status, Message: condition.Message}}
		}
	}
	return nil
}

func (s *slimmer) podConditions(all []corev1.PodCondition) []corev1.PodCondition {
	kept := slices.DeleteFunc(all, func(c corev1.PodCondition) bool {
		return c.Type != corev1.PodReady && c.Type != corev1.ContainersReady && c.Type != corev1.PodScheduled
	})
	for i := range kept {
		c := &kept[i]
		c.Type, c.Status, c.Reason = corev1.PodConditionType(s.shared(string(c.Type))), corev1.ConditionStatus(s.shared(string(c.Status))), s.shared(c.Reason)
	}
	return slices.Clip(slices.Clone(kept))
}

// statuses leaves of containers what they run and why they do not.
func (s *slimmer) statuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	for i := range all {
		from := &all[i]
		for _, state := range []*corev1.ContainerState{&from.State, &from.LastTerminationState} {
			if state.Terminated != nil {
				state.Terminated.ContainerID = ""
			}
		}
		all[i] = corev1.ContainerStatus{Name: s.shared(from.Name), State: from.State, LastTerminationState: from.LastTerminationState, Ready: from.Ready,
			RestartCount: from.RestartCount, Image: s.shared(from.Image), ImageID: s.shared(from.ImageID), Started: from.Started}
	}
	return all
}

// job drops the pod template but for what tells an outdated Job from a valid one:
// the image, and variables with values. Of the rest it keeps whether the Job may run
// at all.
func (s *slimmer) job(object any) (any, error) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return object, nil
	}
	var kept []corev1.Container
	if containers := job.Spec.Template.Spec.Containers; len(containers) > 0 {
		env := slices.DeleteFunc(containers[0].Env, func(variable corev1.EnvVar) bool { return variable.ValueFrom != nil })
		kept = []corev1.Container{{Name: s.shared(containers[0].Name), Image: s.shared(containers[0].Image), Env: s.variables(slices.Clip(slices.Clone(env)))}}
	}
	job.Spec = batchv1.JobSpec{Suspend: job.Spec.Suspend, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: kept}}}
	job.Status.Conditions = slices.Clip(slices.Clone(slices.DeleteFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type != batchv1.JobComplete && c.Type != batchv1.JobFailed
	})))
	return s.labelled(job, v1alpha1.LabelRelease, v1alpha1.LabelVersion, v1alpha1.LabelStage)
}

var sharedTrue, sharedFalse = true, false

// sharedBool is a value of which there is one copy, too.
func sharedBool(value *bool) *bool {
	switch {
	case value == nil:
		return nil
	case *value:
		return &sharedTrue
	}
	return &sharedFalse
}

// only keeps some keys.
func only(all map[string]string, keys ...string) map[string]string {
	var kept map[string]string
	for _, key := range keys {
		if value, ok := all[key]; ok {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[key] = value
		}
	}
	return kept
}

// existence keeps of an object that it is there and when it changed.
func (s *slimmer) existence(object any) (any, error) {
	known, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	known.ObjectMeta = metav1.ObjectMeta{Namespace: s.shared(known.Namespace), Name: known.Name, UID: known.UID, ResourceVersion: known.ResourceVersion}
	return known, nil
}
