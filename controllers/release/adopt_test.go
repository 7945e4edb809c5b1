package release

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func (w *world) service(name string) *corev1.Service {
	w.t.Helper()
	found := &corev1.Service{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, found))
	return found
}

func TestAServiceThatIsNotOursIsRefusedBeforeAnythingIsBuilt(t *testing.T) {
	w := newWorld(t)
	w.must(cluster.Create(t.Context(), aForeignService(w.namespace)))
	w.newRelease()

	release := w.until("refused", stalledFor(v1alpha1.ReasonForeignObject))

	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "set adopt: true beside its name to take it over") {
		t.Errorf("it does not say what to write: %s", message)
	}
	if w.databaseExists(w.prefix + "3_1_2") {
		t.Error("a database was made")
	}
	if service := w.service("nawhas-api"); service.Spec.Selector["app"] != "legacy" || len(service.OwnerReferences) > 0 {
		t.Errorf("the Service was changed: %+v", service)
	}
}

func TestAServiceIsAdoptedWhenAVersionGoesLive(t *testing.T) {
	w := newWorld(t)
	legacy := aForeignService(w.namespace)
	legacy.Labels = map[string]string{"team": "library"}
	legacy.Spec.Type = corev1.ServiceTypeNodePort
	legacy.Spec.Ports[0].TargetPort = intstr.FromInt32(9999)
	w.must(cluster.Create(t.Context(), legacy))
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Service.Adopt = true
		r.Spec.Promotion.Mode = v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	if service := w.service("nawhas-api"); service.Spec.Selector["app"] != "legacy" || service.Spec.Ports[0].TargetPort.IntVal != 9999 {
		t.Fatalf("the Service was changed before the switch: %+v", service.Spec)
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
	w.until("live", isLive("3.1.2"))

	service := w.service("nawhas-api")
	owner := metav1.GetControllerOf(service)
	if service.Spec.Selector["app"] != "" || service.Spec.Selector[v1alpha1.LabelVersion] != "3.1.2" || owner == nil || owner.UID != w.get().UID {
		t.Errorf("the Service is not the release's: %+v", service)
	}
	if service.UID != legacy.UID || service.Spec.ClusterIP != legacy.Spec.ClusterIP || service.Spec.Type != corev1.ServiceTypeNodePort ||
		service.Spec.Ports[0].NodePort != legacy.Spec.Ports[0].NodePort || service.Labels["team"] != "library" {
		t.Errorf("clients do not find it where it was: %+v", service)
	}
	if !w.recorded("Adopted") {
		t.Error("no Event tells of it")
	}
}

func TestAServiceThatAnotherControllerKeepsIsNotAdopted(t *testing.T) {
	w := newWorld(t)
	legacy := aForeignService(w.namespace)
	legacy.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Gateway", Name: "front", UID: "1", Controller: ptr.To(true)}}
	w.must(cluster.Create(t.Context(), legacy))
	w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads[0].Service.Adopt = true })

	release := w.until("refused", stalledFor(v1alpha1.ReasonForeignObject))
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "Gateway front keeps it") {
		t.Errorf("it does not say who keeps it: %s", message)
	}
}

// What a release's Service cannot be is said before anything is built or changed.
func TestAServiceThatTheSpecCannotDescribeIsNotAdopted(t *testing.T) {
	for name, c := range map[string]struct {
		spec corev1.ServiceSpec
		says string
	}{
		"a port that is not TCP": {corev1.ServiceSpec{Selector: map[string]string{"app": "legacy"}, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80}, {Name: "quic", Port: 443, Protocol: corev1.ProtocolUDP},
		}}, "it has UDP port 443"},
		"a name elsewhere": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "api.example.com"}, "leads to api.example.com, not to pods"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			legacy := aForeignService(w.namespace)
			legacy.Spec = c.spec
			w.must(cluster.Create(t.Context(), legacy))
			w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads[0].Service.Adopt = true })

			release := w.until("refused", stalledFor(v1alpha1.ReasonForeignObject))

			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, c.says) {
				t.Errorf("it does not say what cannot be kept: %s", message)
			}
			if service := w.service("nawhas-api"); service.ResourceVersion != legacy.ResourceVersion || w.databaseExists(w.prefix+"3_1_2") {
				t.Errorf("something was changed or built: %+v", service)
			}
		})
	}
}

// A type that the spec asks for is what an ExternalName becomes at the switch.
func TestANameElsewhereIsAdoptedWithAType(t *testing.T) {
	w := newWorld(t)
	legacy := aForeignService(w.namespace)
	legacy.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "api.example.com"}
	w.must(cluster.Create(t.Context(), legacy))
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Service.Adopt, r.Spec.Workloads[0].Service.Type = true, corev1.ServiceTypeClusterIP
	})
	w.until("live", isLive("3.1.2"))
	if spec := w.service("nawhas-api").Spec; spec.Type != corev1.ServiceTypeClusterIP || spec.ClusterIP == "" || spec.Selector[v1alpha1.LabelVersion] != "3.1.2" {
		t.Errorf("the Service is %+v", spec)
	}
}

func TestWhatTheSpecSaysOfAService(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		service := r.Spec.Workloads[0].Service
		service.Type, service.ExternalTrafficPolicy, service.SessionAffinity = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceAffinityClientIP
		service.LoadBalancerSourceRanges = []string{"203.0.113.0/24"}
		service.Labels = map[string]v1alpha1.LabelValue{"team": "library", "tier": "front"}
		service.Annotations = map[string]string{"example.com/hostname": "api.example.com"}
		service.Ports[0].AppProtocol = "http"
		r.Spec.Promotion.Mode = v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	if preview := w.service("nawhas-api-preview"); preview.Spec.Type != corev1.ServiceTypeClusterIP || preview.Labels["team"] != "" || len(preview.Annotations["example.com/hostname"]) > 0 {
		t.Errorf("the preview is reached from outside: %+v", preview)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
	w.until("live", isLive("3.1.2"))
	service := w.service("nawhas-api")
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal ||
		service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP || *service.Spec.Ports[0].AppProtocol != "http" || service.Spec.LoadBalancerSourceRanges[0] != "203.0.113.0/24" ||
		service.Labels["tier"] != "front" || service.Annotations["example.com/hostname"] != "api.example.com" {
		t.Fatalf("the Service is %+v", service)
	}

	// What others write stays; what the spec no longer says goes.
	service.Annotations["cloud.example.com/address"] = "203.0.113.7"
	w.must(cluster.Update(t.Context(), service))
	w.update(func(r *v1alpha1.NawhasRelease) {
		wanted := r.Spec.Workloads[0].Service
		wanted.Labels, wanted.Annotations = map[string]v1alpha1.LabelValue{"team": "library"}, nil
		wanted.Type, wanted.ExternalTrafficPolicy, wanted.SessionAffinity, wanted.LoadBalancerSourceRanges = corev1.ServiceTypeClusterIP, "", corev1.ServiceAffinityNone, nil
	})
	w.settle()
	service = w.service("nawhas-api")
	if service.Labels["tier"] != "" || service.Labels["team"] != "library" || service.Annotations["example.com/hostname"] != "" ||
		service.Annotations["cloud.example.com/address"] == "" || service.Spec.Type != corev1.ServiceTypeClusterIP || service.Spec.SessionAffinity != corev1.ServiceAffinityNone {
		t.Errorf("the Service is %+v", service)
	}
	counting := &countingClient{Client: cluster}
	w.reconciler.Client = counting
	w.settle()
	if len(counting.writes) > 0 {
		t.Errorf("in steady state it wrote %v", counting.writes)
	}
}

// A Service that was opened to the world must not stay so when the spec no longer
// says it.
func TestHowAServiceIsReachedIsTakenBackWithTheSpec(t *testing.T) {
	w := newWorld(t)
	w.newRelease(isReachedFromOutside)
	w.until("live", isLive("3.1.2"))
	if service := w.service("nawhas-api"); service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		t.Fatalf("the Service is %+v", service.Spec)
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Service.ExternalTrafficPolicy, r.Spec.Workloads[0].Service.LoadBalancerSourceRanges = "", nil
	})
	w.settle()
	if spec := w.service("nawhas-api").Spec; spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyCluster || len(spec.LoadBalancerSourceRanges) > 0 {
		t.Errorf("the type stays, and the Service is %+v", spec)
	}
	w.update(isReachedFromOutside)
	w.settle()

	w.update(func(r *v1alpha1.NawhasRelease) {
		service := r.Spec.Workloads[0].Service
		*service = v1alpha1.WorkloadService{Name: service.Name, Ports: []v1alpha1.ServicePort{{Port: 80}}}
	})
	w.settle()

	spec := w.service("nawhas-api").Spec
	if spec.Type != corev1.ServiceTypeClusterIP || spec.SessionAffinity != corev1.ServiceAffinityNone || *spec.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyCluster ||
		spec.ExternalTrafficPolicy != "" || len(spec.LoadBalancerSourceRanges) > 0 || len(spec.Ports) != 1 || spec.Ports[0].NodePort != 0 {
		t.Errorf("the Service is %+v", spec)
	}
	w.writesNothing()
}

// What an adopted Service had before is not the release's to take back, but what
// the spec said of it meanwhile is.
func TestHowAnAdoptedServiceWasReachedStays(t *testing.T) {
	w := newWorld(t)
	legacy := aForeignService(w.namespace)
	legacy.Spec.Type, legacy.Spec.LoadBalancerSourceRanges = corev1.ServiceTypeLoadBalancer, []string{"203.0.113.0/24"}
	legacy.Spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyLocal)
	w.must(cluster.Create(t.Context(), legacy))
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		service := r.Spec.Workloads[0].Service
		service.Adopt, service.Type, service.SessionAffinity = true, corev1.ServiceTypeLoadBalancer, corev1.ServiceAffinityClientIP
	})
	w.until("live", isLive("3.1.2"))
	if affinity := w.service("nawhas-api").Spec.SessionAffinity; affinity != corev1.ServiceAffinityClientIP {
		t.Fatalf("the affinity is %s", affinity)
	}

	w.update(func(r *v1alpha1.NawhasRelease) {
		service := r.Spec.Workloads[0].Service
		service.Adopt, service.Type, service.SessionAffinity = false, "", ""
	})
	w.settle()

	spec := w.service("nawhas-api").Spec
	if spec.Type != corev1.ServiceTypeLoadBalancer || len(spec.LoadBalancerSourceRanges) != 1 || *spec.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyLocal {
		t.Errorf("it lost what it had: %+v", spec)
	}
	if spec.SessionAffinity != corev1.ServiceAffinityNone {
		t.Errorf("the affinity that the spec had said stays: %+v", spec)
	}
	w.writesNothing()
}

func isReachedFromOutside(r *v1alpha1.NawhasRelease) {
	service := r.Spec.Workloads[0].Service
	service.Type, service.ExternalTrafficPolicy, service.InternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceInternalTrafficPolicyLocal
	service.SessionAffinity, service.LoadBalancerSourceRanges = corev1.ServiceAffinityClientIP, []string{"203.0.113.0/24"}
	service.LoadBalancerClass = "example.com/front"
}

// writesNothing says that the release has come to rest.
func (w *world) writesNothing() {
	w.t.Helper()
	counting := &countingClient{Client: w.reconciler.Client}
	w.reconciler.Client = counting
	w.settle()
	if len(counting.writes) > 0 {
		w.t.Errorf("in steady state it wrote %v", counting.writes)
	}
}
