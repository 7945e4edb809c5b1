package release

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// aJob is a Job as the reconciler renders it, and its step.
func aJob() (*batchv1.Job, *plan, *ledger.Version, step) {
	p := &plan{Version: "3.1.2", Image: v1alpha1.ImageSpec{Repository: "ghcr.io/nawhas/api"}, Replay: v1alpha1.ReplaySpec{SkipEvents: []string{"a", "b"}}}
	current := step{name: replayStep, env: []corev1.EnvVar{{Name: "NAWHAS_VERIFY", Value: "{}"}}}
	job := &batchv1.Job{Spec: batchv1.JobSpec{Suspend: ptr.To(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Volumes: []corev1.Volume{{Name: certificatesVolume}},
		Containers: []corev1.Container{{Name: "nawhas", Image: "ghcr.io/nawhas/api:3.1.2", Env: []corev1.EnvVar{
			{Name: "NAWHAS_DATABASE_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "NAWHAS_DATABASE_URL"}}},
			{Name: skipEventsVariable, Value: "a,b"}, {Name: "NAWHAS_VERIFY", Value: "{}"},
		}}},
	}}}}
	return job, p, &ledger.Version{Version: "3.1.2"}, current
}

func slimmed(t *testing.T, job *batchv1.Job) *batchv1.Job {
	t.Helper()
	kept, err := (&slimmer{}).job(job.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	return kept.(*batchv1.Job)
}

func TestAJobInTheCacheIsOutdatedWhenTheJobIs(t *testing.T) {
	job, p, v, current := aJob()
	if outdated(slimmed(t, job), p, v, current) {
		t.Error("a valid Job is outdated")
	}
	for what, change := range map[string]func(*corev1.Container){
		"another image":        func(c *corev1.Container) { c.Image = "ghcr.io/nawhas/api:3.1.1" },
		"other skipped events": func(c *corev1.Container) { c.Env[1].Value = "a" },
		"another wish":         func(c *corev1.Container) { c.Env[2].Value = `{"compare":"Off"}` },
	} {
		changed := job.DeepCopy()
		change(&changed.Spec.Template.Spec.Containers[0])
		if !outdated(changed, p, v, current) || !outdated(slimmed(t, changed), p, v, current) {
			t.Errorf("%s does not make it outdated", what)
		}
	}
	if kept := slimmed(t, job); !ptr.Deref(kept.Spec.Suspend, false) {
		t.Error("a Job that may not run yet is taken for one that may")
	} else if len(kept.Spec.Template.Spec.Volumes) > 0 || len(kept.Spec.Template.Spec.Containers[0].Env) != 2 {
		t.Errorf("more is kept than is read: %+v", kept.Spec)
	}
}

func TestAPodInTheCacheIsJudgedAsThePodIs(t *testing.T) {
	v := &ledger.Version{Version: "3.1.2"}
	for what, status := range map[string]corev1.PodStatus{
		"an image that is missing": {ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}}}},
		"no node":                  {Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}},
		"last words": {ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "no"}}}}},
		"an init container": {InitContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerError"}}}}},
		"lost readiness": {Phase: corev1.PodRunning, StartTime: &metav1.Time{}, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}, {Type: corev1.ContainersReady, Status: corev1.ConditionFalse}, {Type: corev1.PodInitialized}}},
	} {
		pod := &corev1.Pod{Status: status, ObjectMeta: metav1.ObjectMeta{Name: "api-1", UID: types.UID("1"),
			Labels:          map[string]string{v1alpha1.LabelRelease: "nawhas", v1alpha1.LabelVersion: "3.1.2", v1alpha1.LabelWorkload: "api", "app": "api"},
			Annotations:     map[string]string{v1alpha1.AnnotationDrained: "1", "note": "long"},
			OwnerReferences: []metav1.OwnerReference{{UID: "2"}}}}
		kept, err := (&slimmer{}).pod(pod.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		slim := kept.(*corev1.Pod)
		since, lost := lostReadiness(pod)
		slimSince, slimLost := lostReadiness(slim)
		if judgePod(slim) != judgePod(pod) || lost != slimLost || !since.Equal(slimSince) || !isWorkloadOf(slim.Labels, v) ||
			slim.Annotations[v1alpha1.AnnotationDrained] != "1" || len(slim.OwnerReferences) != 1 || slim.Name != pod.Name || slim.UID != pod.UID {
			t.Errorf("%s: %+v is judged %+v, and %+v %+v", what, slim, judgePod(slim), pod, judgePod(pod))
		}
		if len(slim.Labels) != 3 || len(slim.Annotations) != 1 {
			t.Errorf("%s: more is kept than is read: %v %v", what, slim.Labels, slim.Annotations)
		}
	}
}

func TestASliceInTheCacheLeadsWhereTheSliceDoes(t *testing.T) {
	v := &ledger.Version{Version: "3.1.2"}
	pods := []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "api-1", Labels: map[string]string{v1alpha1.LabelVersion: "3.1.2"}}}}
	for what, endpoint := range map[string]discoveryv1.Endpoint{
		"a ready pod":            {TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "api-1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}},
		"one that does not say":  {TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "api-1"}},
		"one that is not ready":  {TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "api-1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}},
		"a pod of another":       {TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "api-2"}},
		"an address without pod": {},
	} {
		endpoint.Addresses, endpoint.NodeName = []string{"10.0.0.1"}, ptr.To("node")
		slice := discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{endpoint}, Ports: []discoveryv1.EndpointPort{{Port: ptr.To(int32(80))}},
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: "nawhas-api", v1alpha1.LabelRelease: "nawhas", "team": "library"}}}
		kept, err := (&slimmer{}).slice(slice.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		slim := *kept.(*discoveryv1.EndpointSlice)
		all, few := []discoveryv1.EndpointSlice{slice}, []discoveryv1.EndpointSlice{slim}
		if says := leadsTo(few, pods, v, "nawhas-api"); says != leadsTo(all, pods, v, "nawhas-api") {
			t.Errorf("%s: %q", what, says)
		}
		if slim.Ports != nil || slim.Endpoints[0].Addresses != nil || len(slim.Labels) != 2 || slice.Endpoints[0].Addresses == nil {
			t.Errorf("%s: kept %+v", what, slim)
		}
	}
}

func TestWhatWasAppliedLastIsNotKept(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "note": "mine"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}}}
	kept, err := (&slimmer{}).object(service)
	if err != nil || len(service.Annotations) != 1 || service.ManagedFields != nil || kept != any(service) {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

// Which fields the operator wrote decides what it may take back.
func TestOfAServiceItIsKeptWhatTheOperatorWrote(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}, {Manager: FieldManager}, {Manager: FieldManager, Subresource: "status"}}}}
	kept, err := (&slimmer{}).service(service)
	if err != nil || len(service.Annotations) != 0 || len(service.ManagedFields) != 1 || service.ManagedFields[0].Manager != FieldManager || kept != any(service) {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func TestOfSecretsOnlyThatTheyChangedIsKept(t *testing.T) {
	secret := secretMetadata()
	secret.ObjectMeta = metav1.ObjectMeta{Namespace: "a", Name: "b", UID: "c", ResourceVersion: "d", Annotations: map[string]string{"last-applied": "password"}}
	kept, err := (&slimmer{}).existence(secret)
	if err != nil {
		t.Fatal(err)
	}
	slim := kept.(*metav1.PartialObjectMetadata)
	if slim.Annotations != nil || slim.Name != "b" || slim.Namespace != "a" || slim.UID != "c" || slim.ResourceVersion != "d" {
		t.Errorf("kept %+v", slim)
	}
}

func TestTextsOfManyObjectsAreKeptOnce(t *testing.T) {
	small := &slimmer{}
	decoded := func(name string) *appsv1.Deployment {
		text := func(s string) string { return strings.Clone(s) }
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: text("library"), Labels: map[string]string{text(v1alpha1.LabelVersion): text("3.1.2")},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: text("v1"), Kind: text(releaseKind), Name: text("nawhas"), UID: types.UID(text("1"))}}},
			Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{
				{Name: text("NAWHAS_DATABASE_URL"), ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: text("NAWHAS_DATABASE_URL")}}}}}}}}},
		}
	}
	texts := func(d *appsv1.Deployment) []string {
		variable, owner := d.Spec.Template.Spec.Containers[0].Env[0], d.OwnerReferences[0]
		all := []string{d.Namespace, d.Labels[v1alpha1.LabelVersion], owner.APIVersion, owner.Kind, owner.Name, string(owner.UID), variable.Name, variable.ValueFrom.SecretKeyRef.Key}
		for label := range d.Labels {
			all = append(all, label)
		}
		return all
	}
	one, other := decoded("api"), decoded("follower")
	wanted := other.DeepCopy()
	for _, d := range []*appsv1.Deployment{one, other} {
		if _, err := small.deployment(d); err != nil {
			t.Fatal(err)
		}
	}
	if !equality.Semantic.DeepEqual(other, wanted) {
		t.Errorf("it says something else now: %+v", other)
	}
	for i, text := range texts(one) {
		if unsafe.StringData(text) != unsafe.StringData(texts(other)[i]) {
			t.Errorf("%q is kept twice", text)
		}
	}
}

func TestTextsAreNotKeptForEver(t *testing.T) {
	small := &slimmer{}
	for i := range mostTexts + 10 {
		if text := strconv.Itoa(i); small.shared(text) != text {
			t.Fatalf("%q became another text", text)
		}
	}
	if len(small.texts) > mostTexts {
		t.Errorf("%d texts are kept", len(small.texts))
	}
}
