package release

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// What the API server refuses is told before anything is built for it, and goes
// on when it is corrected.
func TestWhatTheAPIServerRefusesIsFoundBeforeTheReplay(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*v1alpha1.Workload)
		says  string
	}{
		"a range that is none": {func(w *v1alpha1.Workload) {
			w.Service.Type, w.Service.LoadBalancerSourceRanges = corev1.ServiceTypeLoadBalancer, []string{"203.0.113.0/33"}
		}, "203.0.113.0/33"},
		"a container name": {func(w *v1alpha1.Workload) { w.Template.Spec.Containers[0].Name = "API" }, "containers[0].name"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			w.until("live", isLive("3.1.2"))
			w.update(func(r *v1alpha1.NawhasRelease) {
				r.Spec.Version = "3.2.0"
				c.spoil(&r.Spec.Workloads[0])
			})
			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				return conditionOf(r, v1alpha1.ConditionDatabaseReady).Reason == v1alpha1.ReasonSpecRefused
			})
			if message := conditionOf(release, v1alpha1.ConditionDatabaseReady).Message; !strings.Contains(message, c.says) || release.Status.Live != "3.1.2" {
				t.Errorf("live is %s, it says %s", release.Status.Live, message)
			}
			if jobs := w.jobs("3.2.0"); len(jobs) > 0 {
				t.Errorf("there are %d Jobs", len(jobs))
			}
			w.update(func(r *v1alpha1.NawhasRelease) {
				workload := &r.Spec.Workloads[0]
				workload.Service.Type, workload.Service.LoadBalancerSourceRanges, workload.Template.Spec.Containers[0].Name = "", nil, "api"
			})
			w.until("live", isLive("3.2.0"))
		})
	}
}

// A container's own variables take the place of the release's, and a pull Secret
// may be named twice.
func TestNamesThatComeTwice(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Env = []corev1.EnvVar{{Name: "LEVEL", Value: "info"}, {Name: "SAYS", Value: "at $(LEVEL)"}}
		r.Spec.Image.PullSecrets = []v1alpha1.SecretReference{{Name: "registry"}}
		pod := &r.Spec.Workloads[0].Template.Spec
		pod.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		pod.Containers[0].Env = []corev1.EnvVar{{Name: "LEVEL", Value: "debug"}}
	})
	w.until("live", isLive("3.1.2"))
	pod := w.deployed("3.1.2").Spec.Template
	if level := w.kubelet.variable(pod, "LEVEL"); level != "debug" || len(pod.Spec.ImagePullSecrets) != 1 {
		t.Errorf("the level is %q, the pull Secrets %v", level, pod.Spec.ImagePullSecrets)
	}
}

func TestTheLastOfAVariableCounts(t *testing.T) {
	variables := func(pairs ...string) []corev1.EnvVar {
		var all []corev1.EnvVar
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, corev1.EnvVar{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	for name, c := range map[string]struct{ given, want []corev1.EnvVar }{
		"once each":               {variables("A", "1", "B", "$(A)"), variables("A", "1", "B", "$(A)")},
		"one that is referred to": {variables("A", "1", "B", "$(A)", "A", "2"), variables("A", "2", "B", "$(A)")},
		"one that refers":         {variables("A", "1", "B", "2", "C", "3", "A", "$(B)", "B", "4"), variables("B", "4", "C", "3", "A", "$(B)")},
	} {
		got := named(c.given)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

// The manager's client waits for what was written, and could not make anything of
// what was only tried.
func TestATrialIsNoWriteToWaitFor(t *testing.T) {
	w := newWorld(t)
	patient, _ := cached(t, w.namespace)
	secrets := w.reconciler.Secrets
	w.restart(patient)
	w.reconciler.Secrets, w.reconciler.Live = secrets, cluster
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].DisruptionBudget = &v1alpha1.DisruptionBudget{MaxUnavailable: ptr.To(intstr.FromInt32(1))}
		r.Spec.Workloads[0].Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 3}
	})
	w.until("live", isLive("3.1.2"))
}
