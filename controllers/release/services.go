package release

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// removePreview takes the preview away when there is nothing to preview: it
// would lead to a version that is live, and not be read only.
func (r *Reconciler) removePreview(ctx context.Context, s *scope, live *ledger.Version) error {
	p, ok := s.plans[live.Version]
	if !ok {
		return planMissing(live)
	}
	for i := range p.Workloads {
		if p.Workloads[i].Service == nil {
			continue
		}
		preview := &corev1.Service{}
		key := client.ObjectKey{Namespace: s.release.Namespace, Name: p.Workloads[i].Service.Name + previewSuffix}
		err := r.Client.Get(ctx, key, preview)
		if apierrors.IsNotFound(err) || err == nil && !s.owns(preview) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read Service %s: %w", key.Name, err)
		}
		if err := r.remove(ctx, preview); err != nil {
			return err
		}
	}
	return nil
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
