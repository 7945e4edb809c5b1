package release

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const previewSuffix = "-preview"

// ensureServices points the Services at a version's pods.
func (r *Reconciler) ensureServices(ctx context.Context, s *scope, v *ledger.Version) error {
	return r.pointServices(ctx, s, v, "")
}

// ensurePreview shows a version that is not live: its app role cannot append,
// so that the preview is read only.
func (r *Reconciler) ensurePreview(ctx context.Context, s *scope, v *ledger.Version) error {
	return r.pointServices(ctx, s, v, previewSuffix)
}

func (r *Reconciler) pointServices(ctx context.Context, s *scope, v *ledger.Version, suffix string) error {
	p, ok := s.plans[v.Version]
	if !ok {
		return planMissing(v)
	}
	for i := range p.Workloads {
		if p.Workloads[i].Service == nil {
			continue
		}
		if err := r.converge(ctx, s, renderService(s, v, &p.Workloads[i], suffix), &corev1.Service{}); err != nil {
			return err
		}
	}
	return nil
}

func renderService(s *scope, v *ledger.Version, workload *v1alpha1.Workload, suffix string) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: s.objectMeta(workload.Service.Name+suffix, map[string]string{v1alpha1.LabelWorkload: workload.Name}),
		Spec:       corev1.ServiceSpec{Selector: merged(labelsOf(s, v), map[string]string{v1alpha1.LabelWorkload: workload.Name})},
	}
	service.APIVersion, service.Kind = "v1", "Service"
	for _, port := range workload.Service.Ports {
		target := intstr.FromInt32(port.Port)
		if port.TargetPort != nil {
			target = *port.TargetPort
		}
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: port.Name, Port: port.Port, TargetPort: target, Protocol: corev1.ProtocolTCP})
	}
	return service
}
