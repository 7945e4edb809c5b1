package release

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The address of a Service is known to others: it stays while a version that
// may come back has the workload, and is no longer.
func TestTheServiceOfAWorkloadStaysWhileAVersionHasIt(t *testing.T) {
	w := newWorld(t)
	w.newRelease(withAnotherWorkload, func(r *v1alpha1.NawhasRelease) { r.Spec.Retention.Versions = ptr.To(int32(1)) })
	w.until("live", isLive("3.1.2"))
	if !w.hasService("another") {
		t.Fatal("it was not made")
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Workloads = "3.2.0", r.Spec.Workloads[:1]
	})
	w.until("live", isLive("3.2.0"))
	w.settle()
	if !w.hasService("another") {
		t.Fatal("version 3.1.2 may come back, and its Service is gone")
	}

	w.kubelet.wait(48 * time.Hour)
	w.until("retired", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	w.settle()

	if w.hasService("another") {
		t.Error("no version has the workload, and its Service is there")
	}
	if !w.hasService("nawhas-api") {
		t.Error("the Service of what is live is gone")
	}
}

func TestTheServiceOfAWorkloadThatIsTakenOutIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.newRelease(withAnotherWorkload)
	w.until("live", isLive("3.1.2"))
	foreign := aForeignService(w.namespace)
	foreign.Name, foreign.Labels = "foreign", map[string]string{v1alpha1.LabelRelease: "nawhas"}
	w.must(cluster.Create(t.Context(), foreign))

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads = r.Spec.Workloads[:1] })
	w.settle()

	if w.hasService("another") {
		t.Error("it is there")
	}
	if !w.hasService("nawhas-api") || !w.hasService("foreign") {
		t.Error("so is not what should be")
	}
}

func withAnotherWorkload(r *v1alpha1.NawhasRelease) {
	another := *r.Spec.Workloads[0].DeepCopy()
	another.Name, another.Service.Name = "another", "another"
	r.Spec.Workloads = append(r.Spec.Workloads, another)
}

func (w *world) hasService(name string) bool {
	w.t.Helper()
	err := cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &corev1.Service{})
	w.must(client.IgnoreNotFound(err))
	return err == nil
}
