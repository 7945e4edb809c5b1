package release

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// kubelet plays what the API server alone does not: the controllers of Jobs and
// Deployments, and the programs in their pods, as far as the operator can see
// them. Programs connect with the very credentials of their pods.
type kubelet struct {
	*world
	// refuse are stages whose pods end with an exit code, by stage.
	refuse map[string]int32
	// missing are images that cannot be pulled.
	missing string
	// idle leaves Jobs as they are.
	idle bool
	// behind is how many events followers stay behind.
	behind int64
	// verifies is what the verification does, with the credentials of its pod.
	verifies func(job *batchv1.Job)
	// unwired leaves EndpointSlices as they are.
	unwired bool
	// stuck are versions whose followers cannot go on, and why.
	stuck map[string]*ledger.Problem
}

func (k *kubelet) work() {
	k.t.Helper()
	if k.idle {
		return
	}
	var jobs batchv1.JobList
	k.must(cluster.List(k.t.Context(), &jobs, client.InNamespace(k.namespace)))
	for i := range jobs.Items {
		k.run(&jobs.Items[i])
	}
	var deployments appsv1.DeploymentList
	k.must(cluster.List(k.t.Context(), &deployments, client.InNamespace(k.namespace)))
	for i := range deployments.Items {
		k.roll(&deployments.Items[i])
	}
	k.collect()
	k.wire()
}

// wire lists the ready pods of each Service in an EndpointSlice, as its
// controller does.
func (k *kubelet) wire() {
	if k.unwired {
		return
	}
	var services corev1.ServiceList
	k.must(cluster.List(k.t.Context(), &services, client.InNamespace(k.namespace)))
	for i := range services.Items {
		service := &services.Items[i]
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: service.Name + "-1"}, AddressType: discoveryv1.AddressTypeIPv4}
		_, err := controllerutil.CreateOrUpdate(k.t.Context(), cluster, slice, func() error {
			slice.Labels = merged(service.Labels, map[string]string{discoveryv1.LabelServiceName: service.Name})
			slice.Endpoints = k.endpoints(service.Spec.Selector)
			return nil
		})
		k.must(err)
	}
}

func (k *kubelet) endpoints(selector map[string]string) []discoveryv1.Endpoint {
	var all []discoveryv1.Endpoint
	for i, pod := range k.pods(selector) {
		if ready := podCondition(&pod, corev1.PodReady); ready != nil && ready.Status == corev1.ConditionTrue {
			all = append(all, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: k.namespace, Name: pod.Name}})
		}
	}
	return all
}

// ready sets whether the pods of a version's workloads are ready.
func (k *kubelet) ready(version string, status corev1.ConditionStatus) {
	k.t.Helper()
	for _, pod := range k.pods(map[string]string{v1alpha1.LabelVersion: version, v1alpha1.LabelWorkload: "api"}) {
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
	if k.missing != "" && template.Spec.Containers[0].Image == k.missing {
		k.pod(job, "Job", template, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})
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

// program does what nawhas would do in a Job's pod, with its credentials.
func (k *kubelet) program(stage string, template corev1.PodTemplateSpec) {
	k.t.Helper()
	switch stage {
	case "migrate":
		conn := k.dial(template, "NAWHAS_DATABASE_URL")
		defer func() { _ = conn.Close(context.Background()) }()
		_, err := conn.Exec(k.t.Context(), "CREATE TABLE IF NOT EXISTS reciters (id uuid PRIMARY KEY)")
		k.must(err)
	case "replay":
		k.report(template, 0)
	}
}

// report writes the version's checkpoint as its own process does.
func (k *kubelet) report(template corev1.PodTemplateSpec, behind int64) {
	k.t.Helper()
	conn := k.dial(template, "NAWHAS_SOURCE_URL")
	defer func() { _ = conn.Close(context.Background()) }()
	var head int64
	k.must(conn.QueryRow(k.t.Context(), "SELECT coalesce(max(position), 0) FROM events").Scan(&head))
	problem := k.stuck[template.Labels[v1alpha1.LabelVersion]]
	if problem != nil && problem.Kind == ledger.KindUnknown && k.variable(template, unknownEventsVariable) != "" {
		problem = nil
	}
	if problem != nil {
		head = problem.Position - 1
	}
	k.must(ledger.NewReporter(conn).Report(k.t.Context(), ledger.Progress{Stage: "complete", Position: max(0, head-behind), Target: head, Problem: problem}))
}

// dial connects with a variable of the pod's first container.
func (k *kubelet) dial(template corev1.PodTemplateSpec, variable string) *pgx.Conn {
	k.t.Helper()
	conn, err := pgx.Connect(k.t.Context(), k.variable(template, variable))
	k.must(err)
	k.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (k *kubelet) variable(template corev1.PodTemplateSpec, name string) string {
	k.t.Helper()
	for _, env := range template.Spec.Containers[0].Env {
		if env.Name != name {
			continue
		}
		if env.ValueFrom == nil {
			return k.expand(template, env.Value)
		}
		secret := &corev1.Secret{}
		ref := env.ValueFrom.SecretKeyRef
		k.must(cluster.Get(k.t.Context(), client.ObjectKey{Namespace: k.namespace, Name: ref.Name}, secret))
		return string(secret.Data[ref.Key])
	}
	return ""
}

var reference = regexp.MustCompile(`\$\$|\$\([A-Z_]+\)`)

// expand does to a variable's value what a kubelet does.
func (k *kubelet) expand(template corev1.PodTemplateSpec, value string) string {
	return reference.ReplaceAllStringFunc(value, func(found string) string {
		if found == "$$" {
			return "$"
		}
		return k.variable(template, found[2:len(found)-1])
	})
}

// roll brings a Deployment's pods to its template at once, and lets a follower
// report.
func (k *kubelet) roll(d *appsv1.Deployment) {
	if !d.DeletionTimestamp.IsZero() {
		return
	}
	wanted := ptr.Deref(d.Spec.Replicas, 1)
	if wanted > 0 && d.Labels[v1alpha1.LabelStage] == followerName {
		k.report(d.Spec.Template, k.behind)
	}
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: wanted, UpdatedReplicas: wanted, ReadyReplicas: wanted, AvailableReplicas: wanted}
	if d.Status.ObservedGeneration == status.ObservedGeneration && d.Status.Replicas == wanted {
		return
	}
	k.replacePods(d, int(wanted))
	d.Status = status
	k.must(cluster.Status().Update(k.t.Context(), d))
}

func (k *kubelet) replacePods(d *appsv1.Deployment, wanted int) {
	for _, pod := range k.pods(d.Spec.Selector.MatchLabels) {
		k.must(client.IgnoreNotFound(cluster.Delete(k.t.Context(), &pod, client.GracePeriodSeconds(0))))
	}
	for range wanted {
		k.pod(d, "Deployment", d.Spec.Template, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	}
}

func (k *kubelet) pods(labels map[string]string) []corev1.Pod {
	var found corev1.PodList
	k.must(cluster.List(k.t.Context(), &found, client.InNamespace(k.namespace), client.MatchingLabels(labels)))
	return found.Items
}

func (k *kubelet) pod(owner client.Object, kind string, template corev1.PodTemplateSpec, state corev1.ContainerState) {
	k.t.Helper()
	for _, existing := range k.pods(template.Labels) {
		if state.Waiting != nil && metav1.IsControlledBy(&existing, owner) {
			return
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, GenerateName: owner.GetName() + "-", Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: ptr.To(true)}}},
		Spec: template.Spec,
	}
	pod.Spec.AutomountServiceAccountToken = ptr.To(false)
	k.must(cluster.Create(k.t.Context(), pod))
	started := metav1.NewTime(k.clock.Now())
	pod.Status.StartTime = &started
	if state.Running != nil {
		pod.Status.Conditions = k.readiness(corev1.ConditionTrue)
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "nawhas", Image: template.Spec.Containers[0].Image, ImageID: "sha256:abc", State: state}}
	k.must(cluster.Status().Update(k.t.Context(), pod))
}

// collect deletes the pods of owners that are gone, as the garbage collector does.
func (k *kubelet) collect() {
	for _, pod := range k.pods(nil) {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil || k.exists(owner) {
			continue
		}
		k.must(client.IgnoreNotFound(cluster.Delete(k.t.Context(), &pod, client.GracePeriodSeconds(0))))
	}
}

func (k *kubelet) exists(owner *metav1.OwnerReference) bool {
	objects := map[string]client.Object{"Job": &batchv1.Job{}, "Deployment": &appsv1.Deployment{}}
	object := objects[owner.Kind]
	err := cluster.Get(k.t.Context(), client.ObjectKey{Namespace: k.namespace, Name: owner.Name}, object)
	return err == nil && object.GetUID() == owner.UID && object.GetDeletionTimestamp().IsZero()
}

// append writes events as a version's pods would.
func (k *kubelet) append(version string, n int) error {
	d := &appsv1.Deployment{}
	k.must(cluster.Get(k.t.Context(), types.NamespacedName{Namespace: k.namespace, Name: "nawhas-api-" + strings.ReplaceAll(version, ".", "-")}, d))
	conn := k.dial(d.Spec.Template, "NAWHAS_SOURCE_URL")
	defer func() { _ = conn.Close(context.Background()) }()
	for range n {
		if _, err := conn.Exec(k.t.Context(), "INSERT INTO events (id, name, version, payload) VALUES (gen_random_uuid(), 'ReciterCreated', 1, '{}')"); err != nil {
			return fmt.Errorf("append as version %s: %w", version, err)
		}
	}
	return nil
}

func (k *kubelet) wait(d time.Duration) { k.clock.SetTime(k.clock.Now().Add(d)) }
