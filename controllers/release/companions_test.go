package release

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func autoscaled(r *v1alpha1.NawhasRelease) {
	r.Spec.Workloads[0].Autoscaling = &v1alpha1.Autoscaling{MinReplicas: ptr.To(int32(2)), MaxReplicas: 9}
	r.Spec.Workloads[0].DisruptionBudget = &v1alpha1.DisruptionBudget{MaxUnavailable: ptr.To(intstr.FromString("25%"))}
}

// strippingClient reads as the operator's cache does: without managed fields.
type strippingClient struct{ client.Client }

func (c *strippingClient) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	err := c.Client.Get(ctx, key, obj, opts...)
	obj.SetManagedFields(nil)
	return err
}

func (w *world) deployed(version string) *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: objectName("nawhas", "api", version)}, d))
	return d
}

// scale does what an autoscaler does.
func (w *world) scale(version string, replicas int32) {
	w.t.Helper()
	d := w.deployed(version)
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	w.must(cluster.SubResource("scale").Update(w.t.Context(), d, client.WithSubResourceBody(scale), client.FieldOwner("kube-controller-manager")))
}

func (w *world) autoscalers() []string {
	w.t.Helper()
	var found autoscalingv2.HorizontalPodAutoscalerList
	w.must(cluster.List(w.t.Context(), &found, client.InNamespace(w.namespace)))
	var names []string
	for _, a := range found.Items {
		names = append(names, a.Labels[v1alpha1.LabelVersion])
		if a.Spec.ScaleTargetRef.Name != objectName("nawhas", "api", a.Labels[v1alpha1.LabelVersion]) {
			w.t.Errorf("the autoscaler of %s scales %s", a.Labels[v1alpha1.LabelVersion], a.Spec.ScaleTargetRef.Name)
		}
	}
	return names
}

func TestAnAutoscalerDecidesTheSizeOfWhatIsLive(t *testing.T) {
	w := newWorld(t)
	w.restart(&strippingClient{cluster})
	w.newRelease(autoscaled)
	w.until("live", isLive("3.1.2"))
	w.settle()
	if got := w.autoscalers(); len(got) != 1 || got[0] != "3.1.2" {
		t.Fatalf("the autoscalers are of %v", got)
	}
	if n := *w.deployed("3.1.2").Spec.Replicas; n != 2 {
		t.Errorf("it begins with %d pods", n)
	}

	w.scale("3.1.2", 5)
	w.settle()
	if n := *w.deployed("3.1.2").Spec.Replicas; n != 5 {
		t.Fatalf("the operator set the size to %d", n)
	}
	// Also when something else of the Deployment changes.
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Template.Spec.Containers[0].Args = []string{"serve", "--verbose"}
	})
	w.settle()
	if d := w.deployed("3.1.2"); *d.Spec.Replicas != 5 || len(d.Spec.Template.Spec.Containers[0].Args) != 2 {
		t.Fatalf("the operator set the size to %d, or did not change the arguments", *d.Spec.Replicas)
	}
	counting := &countingClient{Client: &strippingClient{cluster}}
	w.reconciler.Client = counting
	w.settle()
	if len(counting.writes) > 0 {
		t.Errorf("in steady state it wrote %v", counting.writes)
	}
}

func TestACandidateHasTheSizeOfWhatIsLive(t *testing.T) {
	w := newWorld(t)
	w.restart(&strippingClient{cluster})
	w.newRelease(autoscaled)
	w.until("live", isLive("3.1.2"))
	w.scale("3.1.2", 6)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	if n := *w.deployed("3.2.0").Spec.Replicas; n != 6 {
		t.Fatalf("the candidate has %d pods", n)
	}
	w.scale("3.1.2", 8)
	w.settle()
	if got := w.autoscalers(); *w.deployed("3.2.0").Spec.Replicas != 8 || len(got) != 1 || got[0] != "3.1.2" {
		t.Errorf("the candidate has %d pods; the autoscalers are of %v", *w.deployed("3.2.0").Spec.Replicas, got)
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.until("live", isLive("3.2.0"))
	w.settle()
	if got := w.autoscalers(); len(got) != 1 || got[0] != "3.2.0" {
		t.Errorf("the autoscalers are of %v", got)
	}
	w.scale("3.2.0", 3)
	w.settle()
	if a, b := *w.deployed("3.2.0").Spec.Replicas, *w.deployed("3.1.2").Spec.Replicas; a != 3 || b != 3 {
		t.Errorf("what is live has %d pods, and what can come back %d", a, b)
	}
	w.kubelet.wait(time.Hour)
	w.settle()
	if n := *w.deployed("3.1.2").Spec.Replicas; n != 0 {
		t.Errorf("after keepPodsFor the previous version has %d pods", n)
	}
}

// Whoever turns autoscaling on has pods already: they stay.
func TestAutoscalingIsTurnedOnAndOff(t *testing.T) {
	w := newWorld(t)
	w.restart(&strippingClient{cluster})
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads[0].Replicas = ptr.To(int32(4)) })
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		autoscaled(r)
		r.Spec.Workloads[0].Replicas = ptr.To(int32(1))
	})
	for range 5 {
		if _, err := w.pass(); err != nil {
			t.Fatal(err)
		}
		if n := *w.deployed("3.1.2").Spec.Replicas; n != 4 {
			t.Fatalf("it has %d pods when autoscaling is turned on", n)
		}
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Autoscaling, r.Spec.Workloads[0].Replicas = nil, ptr.To(int32(3))
	})
	w.settle()
	if got := w.autoscalers(); *w.deployed("3.1.2").Spec.Replicas != 3 || len(got) != 0 {
		t.Errorf("it has %d pods when autoscaling is turned off; the autoscalers are of %v", *w.deployed("3.1.2").Spec.Replicas, got)
	}
}

func TestSizeOf(t *testing.T) {
	of := func(replicas int32) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas}}
	}
	fixed := &v1alpha1.Workload{Replicas: ptr.To(int32(3))}
	scaled := &v1alpha1.Workload{Autoscaling: &v1alpha1.Autoscaling{MinReplicas: ptr.To(int32(2)), MaxReplicas: 5}}
	for name, c := range map[string]struct {
		workload *v1alpha1.Workload
		role     ledger.Role
		live     *appsv1.Deployment
		want     size
	}{
		"a number":                            {fixed, ledger.Candidate, of(7), size{3, false}},
		"a candidate":                         {scaled, ledger.Candidate, of(4), size{4, false}},
		"a candidate when nothing is live":    {scaled, ledger.Candidate, nil, size{2, false}},
		"a candidate that may not have many":  {scaled, ledger.Candidate, of(9), size{5, false}},
		"a candidate that may not have few":   {scaled, ledger.Candidate, of(1), size{2, false}},
		"a version that may come back":        {scaled, ledger.Warm, of(4), size{4, false}},
		"what is live decides through others": {scaled, ledger.Live, of(4), size{4, true}},
	} {
		if got := sizeOf(c.workload, c.role, c.live); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEachVersionWithPodsHasADisruptionBudget(t *testing.T) {
	w := newWorld(t)
	w.restart(&strippingClient{cluster})
	w.newRelease(autoscaled)
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.settle()
	budgets := func() map[string]policyv1.PodDisruptionBudget {
		var found policyv1.PodDisruptionBudgetList
		w.must(cluster.List(t.Context(), &found, client.InNamespace(w.namespace)))
		all := map[string]policyv1.PodDisruptionBudget{}
		for _, b := range found.Items {
			all[b.Labels[v1alpha1.LabelVersion]] = b
		}
		return all
	}
	if all := budgets(); len(all) != 2 || all["3.2.0"].Spec.Selector.MatchLabels[v1alpha1.LabelVersion] != "3.2.0" || all["3.1.2"].Spec.MaxUnavailable.StrVal != "25%" {
		t.Errorf("the budgets are %+v", all)
	}
	w.kubelet.wait(time.Hour)
	w.settle()
	if all := budgets(); len(all) != 1 {
		t.Errorf("a version without pods has a budget: %+v", all)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads[0].DisruptionBudget = nil })
	w.settle()
	if all := budgets(); len(all) != 0 {
		t.Errorf("a budget that nobody wants is there: %+v", all)
	}
}

// One workload serves, one works off a queue and must never run twice.
func TestAnExclusiveWorkloadWaitsForThePodsOfTheOldVersion(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads = append(r.Spec.Workloads,
			v1alpha1.Workload{Name: "queue", Exclusive: true, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue"}}}}},
			v1alpha1.Workload{Name: "admin", Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "admin"}}}},
				Service: &v1alpha1.WorkloadService{Name: "nawhas-admin", Ports: []v1alpha1.ServicePort{{Port: 80}}}})
	})
	w.until("live", isLive("3.1.2"))
	w.settle()
	queue := func(version string) int {
		return len(w.podsWith(map[string]string{v1alpha1.LabelVersion: version, v1alpha1.LabelWorkload: "queue"}))
	}
	if queue("3.1.2") != 1 {
		t.Fatal("the exclusive workload of the first version does not run")
	}
	// Its node does not answer: the pod is being deleted and does not go.
	stuck := w.podsWith(map[string]string{v1alpha1.LabelWorkload: "queue"})[0]
	stuck.Finalizers = []string{"example.com/node-does-not-answer"}
	w.must(cluster.Update(t.Context(), &stuck))

	w.release("3.2.0")
	release := w.until("waiting for the pod", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == "3.2.0" && conditionOf(r, v1alpha1.ConditionReconciling).Reason == v1alpha1.ReasonDraining
	})
	w.settle()
	if queue("3.2.0") != 0 {
		t.Fatal("the exclusive workload runs twice")
	}
	if a, b := w.selected("nawhas-api"), w.selected("nawhas-admin"); a != "3.2.0" || b != "3.2.0" {
		t.Errorf("the Services lead to %s and %s", a, b)
	}
	if !isTrue(release, v1alpha1.ConditionReady) || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("what serves waits too:\n%s", w.told())
	}
	w.kubelet.wait(time.Hour)
	w.until("overdue", stalledFor(v1alpha1.ReasonProgressDeadlineExceeded))

	w.must(cluster.Get(t.Context(), client.ObjectKeyFromObject(&stuck), &stuck))
	stuck.Finalizers = nil
	w.must(cluster.Update(t.Context(), &stuck))
	w.until("fenced", isLive("3.2.0"))
	w.settle()
	if queue("3.2.0") != 1 || queue("3.1.2") != 0 {
		t.Errorf("%d pods of the new version's queue and %d of the old one's", queue("3.2.0"), queue("3.1.2"))
	}
}

// A pod that was evicted stays as an object for a long time.
func TestAPodThatHasEndedIsNotInTheWay(t *testing.T) {
	pod := func(phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: map[string]string{v1alpha1.LabelVersion: "1.0.0", v1alpha1.LabelWorkload: "queue"}},
			Status: corev1.PodStatus{Phase: phase}}
	}
	for phase, want := range map[corev1.PodPhase]string{corev1.PodRunning: "old", corev1.PodPending: "old", corev1.PodUnknown: "old", corev1.PodFailed: "", corev1.PodSucceeded: ""} {
		s := &scope{pods: []corev1.Pod{pod(phase)}}
		if got := s.inTheWay(aVersion("2.0.0", ledger.Live), "queue"); got != want {
			t.Errorf("a pod that is %s: %q", phase, got)
		}
	}
}

// Nobody misses the pods of a workload that is to have none and has no Service.
func TestAWorkloadWithoutPodsIsNotMissed(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads = append(r.Spec.Workloads, v1alpha1.Workload{Name: "reports", Replicas: ptr.To(int32(0)),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "reports", Args: []string{"report"}}}}}})
	})
	release := w.until("live", isLive("3.1.2"))
	if available := conditionOf(release, v1alpha1.ConditionAvailable); available.Status != metav1.ConditionTrue {
		t.Errorf("it is not available: %s", available.Message)
	}
}
