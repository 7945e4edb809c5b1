package release

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// unreached says which Service does not lead to the version yet, as nodes see
// it: a Service's selector is only a wish, its EndpointSlices are what nodes
// act on. It is empty when all of them list ready pods of the version and no
// others.
func (s *scope) unreached(v *ledger.Version) string {
	p := s.plans[v.Version]
	for i := range p.Workloads {
		workload := &p.Workloads[i]
		if workload.Service == nil || s.podsWanted(v, workload) == 0 {
			continue
		}
		if message := leadsTo(s.slices, s.pods, v, workload.Service.Name); message != "" {
			return message
		}
	}
	return ""
}

func leadsTo(slices []discoveryv1.EndpointSlice, pods []corev1.Pod, v *ledger.Version, service string) string {
	ready := 0
	for i := range slices {
		if slices[i].Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, endpoint := range slices[i].Endpoints {
			if !ptr.Deref(endpoint.Conditions.Ready, true) {
				continue
			}
			if endpoint.TargetRef == nil || !isPodOf(pods, endpoint.TargetRef.Name, v) {
				return fmt.Sprintf("the endpoints of Service %s still list pods of another version", service)
			}
			ready++
		}
	}
	if ready == 0 {
		return fmt.Sprintf("the endpoints of Service %s list no ready pod yet", service)
	}
	return ""
}

func isPodOf(pods []corev1.Pod, name string, v *ledger.Version) bool {
	for i := range pods {
		if pods[i].Name == name {
			return pods[i].Labels[v1alpha1.LabelVersion] == v.Version
		}
	}
	return false
}
