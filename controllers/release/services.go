package release

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		if epochOf(preview) > s.ledger.Epoch() {
			return fmt.Errorf("delete Service %s: %w", key.Name, ledger.ErrSuperseded)
		}
		seen := client.Preconditions{UID: &preview.UID, ResourceVersion: &preview.ResourceVersion}
		err = r.Client.Delete(ctx, preview, seen)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Service %s: %w", key.Name, err)
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
		if err := r.convergeService(ctx, s, renderService(s, v, &p.Workloads[i], suffix)); err != nil {
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
	service.Annotations = s.epochAnnotation()
	for _, port := range workload.Service.Ports {
		target := intstr.FromInt32(port.Port)
		if port.TargetPort != nil {
			target = *port.TargetPort
		}
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: port.Name, Port: port.Port, TargetPort: target, Protocol: corev1.ProtocolTCP})
	}
	return service
}

// convergeService makes the Service or changes what differs. A Service decides
// where clients go, so that an operator which was taken over must not change
// it: it is created only if it is not there, and changed only as it was read,
// under an epoch that is not older than the Service's.
func (r *Reconciler) convergeService(ctx context.Context, s *scope, wanted *corev1.Service) error {
	existing := &corev1.Service{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(wanted), existing)
	if apierrors.IsNotFound(err) {
		if err := r.Client.Create(ctx, wanted, client.FieldOwner(FieldManager)); err != nil {
			return fmt.Errorf("create %s of release %s: %w", describe(wanted), s.release.Name, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", describe(wanted), err)
	}
	if !s.owns(existing) {
		return &foreignObjectError{kind: "Service", name: wanted.Name}
	}
	if epochOf(existing) > s.ledger.Epoch() {
		return fmt.Errorf("change %s: %w", describe(wanted), ledger.ErrSuperseded)
	}
	changed := existing.DeepCopy()
	adjust(changed, wanted)
	return r.patchService(ctx, s, existing, changed)
}

// patchService sends the difference, if there is one, for the very Service that
// was read: a conflict means that somebody else changed it meanwhile.
func (r *Reconciler) patchService(ctx context.Context, s *scope, existing, changed *corev1.Service) error {
	if equality.Semantic.DeepEqual(existing, changed) {
		return nil
	}
	err := r.Client.Patch(ctx, changed, client.MergeFromWithOptions(existing, client.MergeFromWithOptimisticLock{}), client.FieldOwner(FieldManager))
	if err != nil {
		return fmt.Errorf("change Service %s of release %s: %w", existing.Name, s.release.Name, err)
	}
	return nil
}

// adjust writes what is wanted into a Service and leaves what the cluster and
// others have added.
func adjust(service, wanted *corev1.Service) {
	service.Labels = merged(service.Labels, wanted.Labels)
	service.Annotations = merged(service.Annotations, wanted.Annotations)
	if !equality.Semantic.DeepEqual(metav1.GetControllerOf(service), metav1.GetControllerOf(wanted)) {
		service.OwnerReferences = wanted.OwnerReferences
	}
	service.Spec.Selector = maps.Clone(wanted.Spec.Selector)
	nodePorts := map[int32]int32{}
	for _, port := range service.Spec.Ports {
		nodePorts[port.Port] = port.NodePort
	}
	ports := append([]corev1.ServicePort(nil), wanted.Spec.Ports...)
	for i := range ports {
		ports[i].NodePort = nodePorts[ports[i].Port]
	}
	service.Spec.Ports = ports
}
