package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// kubelet plays what the API server alone does not: the controllers of Jobs and
// Deployments, and the programs in their pods, as far as the operator can see
// them (programs_test.go).
type kubelet struct {
	*world
	// refuse are stages whose pods end with an exit code, by stage.
	refuse map[string]int32
	// missing are images that cannot be pulled.
	missing string
	// unfit is which Jobs' pods have no node to run on.
	unfit func(job *batchv1.Job) bool
	// idle leaves Jobs as they are.
	idle bool
	// does is which stages' Jobs it runs, nil for all.
	does func(stage string) bool
	// rolls is which Deployments it looks after, nil for all.
	rolls func(d *appsv1.Deployment) bool
	// replays changes how a round replays, nil for as it should.
	replays func(round *aRound)
	// behind is how many events followers stay behind.
	behind int64
	// verifies is what the verification does, with the credentials of its pod.
	verifies func(job *batchv1.Job)
	// audits changes what followers say of what they applied, nil when they say nothing.
	audits func(*report)
	// unwired leaves EndpointSlices as they are.
	unwired bool
	// stuck are versions whose followers cannot go on, and why.
	stuck map[string]*ledger.Problem

	seen view
	// followers are those that run, by the uid of their Deployment.
	followers map[types.UID]*follower
}

// view is what the namespace has: as it was when a round began, and with the
// pods that were made and ended since.
type view struct {
	jobs        []batchv1.Job
	deployments []appsv1.Deployment
	pods        []corev1.Pod
	services    []corev1.Service
	slices      []discoveryv1.EndpointSlice
}

// work is one round: everything that the namespace asks for is brought about.
func (k *kubelet) work() {
	k.t.Helper()
	if k.idle {
		return
	}
	k.look()
	for i := range k.seen.jobs {
		k.run(&k.seen.jobs[i])
	}
	for i := range k.seen.deployments {
		k.roll(&k.seen.deployments[i])
	}
	k.collect()
	k.wire()
}

// look lists what there is, once for the whole round.
func (k *kubelet) look() {
	k.t.Helper()
	var jobs batchv1.JobList
	var deployments appsv1.DeploymentList
	var pods corev1.PodList
	var services corev1.ServiceList
	var endpoints discoveryv1.EndpointSliceList
	for _, list := range []client.ObjectList{&jobs, &deployments, &pods, &services, &endpoints} {
		k.must(cluster.List(k.t.Context(), list, client.InNamespace(k.namespace)))
	}
	k.seen = view{jobs.Items, deployments.Items, pods.Items, services.Items, endpoints.Items}
}

// wire lists the ready pods of each Service in an EndpointSlice, as its
// controller does.
func (k *kubelet) wire() {
	if k.unwired {
		return
	}
	for i := range k.seen.services {
		service := &k.seen.services[i]
		wanted := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: service.Name + "-1"}, AddressType: discoveryv1.AddressTypeIPv4}
		wanted.Labels = merged(service.Labels, map[string]string{discoveryv1.LabelServiceName: service.Name})
		wanted.Endpoints = k.endpoints(service.Spec.Selector)
		found := slices.IndexFunc(k.seen.slices, func(s discoveryv1.EndpointSlice) bool { return s.Name == wanted.Name })
		if found < 0 {
			k.must(cluster.Create(k.t.Context(), wanted))
			continue
		}
		existing := &k.seen.slices[found]
		if !equality.Semantic.DeepEqual(existing.Labels, wanted.Labels) || !equality.Semantic.DeepEqual(existing.Endpoints, wanted.Endpoints) {
			existing.Labels, existing.Endpoints = wanted.Labels, wanted.Endpoints
			k.must(cluster.Update(k.t.Context(), existing))
		}
	}
}

func (k *kubelet) endpoints(selector map[string]string) []discoveryv1.Endpoint {
	var all []discoveryv1.Endpoint
	for i, pod := range k.seen.matching(selector) {
		if ready := podCondition(&pod, corev1.PodReady); ready != nil && ready.Status == corev1.ConditionTrue {
			all = append(all, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: k.namespace, Name: pod.Name}})
		}
	}
	return all
}

// matching are the pods that a selector selects.
func (v *view) matching(selector map[string]string) []corev1.Pod {
	var found []corev1.Pod
	for i := range v.pods {
		if labels.SelectorFromSet(selector).Matches(labels.Set(v.pods[i].Labels)) {
			found = append(found, v.pods[i])
		}
	}
	return found
}

// ready sets whether the pods of a version's workloads are ready.
func (k *kubelet) ready(version string, status corev1.ConditionStatus) {
	k.t.Helper()
	k.look()
	for _, pod := range k.seen.matching(map[string]string{v1alpha1.LabelVersion: version, v1alpha1.LabelWorkload: "api"}) {
		pod.Status.Conditions = k.readiness(status)
		k.must(cluster.Status().Update(k.t.Context(), &pod))
	}
}

func (k *kubelet) readiness(status corev1.ConditionStatus) []corev1.PodCondition {
	now := metav1.NewTime(k.clock.Now())
	return []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: now}, {Type: corev1.ContainersReady, Status: status, LastTransitionTime: now}}
}

func (k *kubelet) run(job *batchv1.Job) {
	if len(job.Status.Conditions) > 0 || !job.DeletionTimestamp.IsZero() {
		return
	}
	template := job.Spec.Template
	stage := template.Labels[v1alpha1.LabelStage]
	if ptr.Deref(job.Spec.Suspend, false) || k.does != nil && !k.does(stage) {
		return
	}
	if k.missing != "" && template.Spec.Containers[0].Image == k.missing {
		k.pod(job, "Job", template, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})
		return
	}
	if k.unfit != nil && k.unfit(job) {
		k.pod(job, "Job", template, corev1.ContainerState{})
		return
	}
	if code, refused := k.refuse[stage]; refused {
		if stage == "verify" && k.verifies != nil {
			k.verifies(job)
		}
		k.pod(job, "Job", template, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: "the last words of " + stage}})
		k.finish(job, batchv1.JobFailureTarget, batchv1.JobFailed)
		return
	}
	if stage == roundStep && !k.round(template) {
		k.pod(job, "Job", template, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "the last words of a round"}})
		k.finish(job, batchv1.JobFailureTarget, batchv1.JobFailed)
		return
	}
	k.program(stage, template)
	if stage == "verify" && k.verifies != nil {
		k.verifies(job)
	}
	k.pod(job, "Job", template, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
	k.finish(job, batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)
}

// finish sets a Job's conditions as its controller does.
func (k *kubelet) finish(job *batchv1.Job, before, final batchv1.JobConditionType) {
	now := metav1.NewTime(k.clock.Now())
	job.Status.StartTime = &now
	for _, condition := range []batchv1.JobConditionType{before, final} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: condition, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", LastTransitionTime: now})
	}
	if final == batchv1.JobComplete {
		job.Status.CompletionTime = &now
	}
	k.must(cluster.Status().Update(k.t.Context(), job))
}

// roll brings a Deployment's pods to its template at once, and lets a follower
// report.
func (k *kubelet) roll(d *appsv1.Deployment) {
	if !d.DeletionTimestamp.IsZero() || k.rolls != nil && !k.rolls(d) {
		return
	}
	wanted := ptr.Deref(d.Spec.Replicas, 1)
	if wanted > 0 && d.Labels[v1alpha1.LabelStage] == followerName {
		k.follow(d)
		k.audit(d.Spec.Template)
	}
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: wanted, UpdatedReplicas: wanted, ReadyReplicas: wanted, AvailableReplicas: wanted}
	if d.Status.ObservedGeneration == status.ObservedGeneration && d.Status.Replicas == wanted {
		return
	}
	k.replacePods(d, int(wanted))
	d.Status = status
	err := cluster.Status().Update(k.t.Context(), d)
	if apierrors.IsConflict(err) {
		return // the operator has changed it meanwhile, and the next look finds that
	}
	k.must(err)
}

func (k *kubelet) replacePods(d *appsv1.Deployment, wanted int) {
	for _, pod := range k.seen.matching(d.Spec.Selector.MatchLabels) {
		k.end(&pod)
	}
	for range wanted {
		k.pod(d, "Deployment", d.Spec.Template, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	}
}

// end takes a pod away at once.
func (k *kubelet) end(pod *corev1.Pod) {
	k.must(client.IgnoreNotFound(cluster.Delete(k.t.Context(), pod, client.GracePeriodSeconds(0))))
	k.seen.pods = slices.DeleteFunc(slices.Clone(k.seen.pods), func(other corev1.Pod) bool { return other.UID == pod.UID })
}

func (k *kubelet) pod(owner client.Object, kind string, template corev1.PodTemplateSpec, state corev1.ContainerState) {
	k.t.Helper()
	scheduled := state != corev1.ContainerState{}
	for _, existing := range k.seen.matching(template.Labels) {
		if (state.Waiting != nil || !scheduled) && metav1.IsControlledBy(&existing, owner) {
			return
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, GenerateName: owner.GetName() + "-", Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: ptr.To(true)}}},
		Spec: template.Spec,
	}
	if kind == "Job" {
		pod.Labels = merged(pod.Labels, map[string]string{batchv1.JobNameLabel: owner.GetName()})
	}
	pod.Spec.AutomountServiceAccountToken = ptr.To(false)
	k.must(cluster.Create(k.t.Context(), pod))
	started := metav1.NewTime(k.clock.Now())
	pod.Status.StartTime = &started
	if state.Running != nil {
		pod.Status.Conditions = k.readiness(corev1.ConditionTrue)
	}
	if scheduled {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "nawhas", Image: template.Spec.Containers[0].Image, ImageID: "sha256:abc", State: state}}
	} else {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available"}}
	}
	k.must(cluster.Status().Update(k.t.Context(), pod))
	k.seen.pods = append(k.seen.pods, *pod)
}

// collect deletes the pods of owners that are gone, as the garbage collector
// does, and ends the followers with theirs.
func (k *kubelet) collect() {
	for _, pod := range slices.Clone(k.seen.pods) {
		if owner := metav1.GetControllerOf(&pod); owner != nil && !k.seen.has(owner.UID) {
			k.end(&pod)
		}
	}
	for uid, running := range k.followers {
		if !k.seen.has(uid) {
			_ = running.conn.Close(context.Background())
			delete(k.followers, uid)
		}
	}
}

// has reports whether a Job or a Deployment is there to stay.
func (v *view) has(uid types.UID) bool {
	return slices.ContainsFunc(v.jobs, func(job batchv1.Job) bool { return job.UID == uid && job.DeletionTimestamp.IsZero() }) ||
		slices.ContainsFunc(v.deployments, func(d appsv1.Deployment) bool { return d.UID == uid && d.DeletionTimestamp.IsZero() })
}

func (k *kubelet) wait(d time.Duration) { k.clock.SetTime(k.clock.Now().Add(d)) }
