package release

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
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
// would lead to a version that is live, and not be read only, or to one that has
// made way for another.
func (r *Reconciler) removePreview(ctx context.Context, s *scope, live *ledger.Version) error {
	p, ok := s.plans[live.Version]
	if !ok {
		return planMissing(live)
	}
	for i := range p.Workloads {
		if p.Workloads[i].Service == nil {
			continue
		}
		if err := r.removeService(ctx, s, p.Workloads[i].Service.Name+previewSuffix); err != nil {
			return err
		}
	}
	return nil
}

// removeService deletes a Service of the release as it was read, under an epoch
// that is not older than the Service's.
func (r *Reconciler) removeService(ctx context.Context, s *scope, name string) error {
	service := &corev1.Service{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: name}, service)
	if apierrors.IsNotFound(err) || err == nil && (!s.owns(service) || !service.DeletionTimestamp.IsZero()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Service %s: %w", name, err)
	}
	if epochOf(service) > s.ledger.Epoch() {
		return fmt.Errorf("delete Service %s: %w", name, ledger.ErrSuperseded)
	}
	seen := client.Preconditions{UID: &service.UID, ResourceVersion: &service.ResourceVersion}
	err = r.Client.Delete(ctx, service, seen)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Service %s: %w", name, err)
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
		adopt := suffix == "" && p.Workloads[i].Service.Adopt
		if err := r.convergeService(ctx, s, renderService(s, v, &p.Workloads[i], suffix), p.Workloads[i].Service, adopt); err != nil {
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
		rendered := corev1.ServicePort{Name: port.Name, Port: port.Port, TargetPort: target, Protocol: corev1.ProtocolTCP}
		if port.AppProtocol != "" {
			rendered.AppProtocol = ptr.To(port.AppProtocol)
		}
		if suffix == "" {
			rendered.NodePort = port.NodePort
		}
		service.Spec.Ports = append(service.Spec.Ports, rendered)
	}
	if suffix == "" {
		dress(service, workload.Service)
	}
	return service
}

// dress gives the Service of a live version what else the spec says of it.
func dress(service *corev1.Service, wanted *v1alpha1.WorkloadService) {
	for name, value := range wanted.Labels {
		if _, ours := service.Labels[name]; !ours {
			service.Labels[name] = string(value)
		}
	}
	service.Annotations = merged(wanted.Annotations, service.Annotations)
	if names := metadataNames(wanted); names != "" {
		service.Annotations[annotationMetadata] = names
	}
	spec := &service.Spec
	spec.Type, spec.ExternalTrafficPolicy, spec.SessionAffinity = wanted.Type, wanted.ExternalTrafficPolicy, wanted.SessionAffinity
	spec.LoadBalancerSourceRanges = wanted.LoadBalancerSourceRanges
	if wanted.InternalTrafficPolicy != "" {
		spec.InternalTrafficPolicy = ptr.To(wanted.InternalTrafficPolicy)
	}
	if wanted.LoadBalancerClass != "" {
		spec.LoadBalancerClass = ptr.To(wanted.LoadBalancerClass)
	}
}

// annotationMetadata lists the labels and annotations of a Service that come
// from the spec, so that one which is no longer there is taken away.
const annotationMetadata = "releases.nawhas.com/metadata"

func metadataNames(wanted *v1alpha1.WorkloadService) string {
	var names []string
	for name := range wanted.Labels {
		names = append(names, "label:"+name)
	}
	for name := range wanted.Annotations {
		names = append(names, "annotation:"+name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// undress takes away the labels and annotations that came from the spec and are
// no longer wanted.
func undress(service, wanted *corev1.Service) {
	still := strings.Split(wanted.Annotations[annotationMetadata], ",")
	for _, name := range strings.Split(service.Annotations[annotationMetadata], ",") {
		if slices.Contains(still, name) {
			continue
		}
		if label, found := strings.CutPrefix(name, "label:"); found {
			delete(service.Labels, label)
		}
		if annotation, found := strings.CutPrefix(name, "annotation:"); found {
			delete(service.Annotations, annotation)
		}
	}
	delete(service.Annotations, annotationMetadata)
}

// convergeService makes the Service or changes what differs. A Service decides
// where clients go, so that an operator which was taken over must not change
// it: it is created only if it is not there, and changed only as it was read,
// under an epoch that is not older than the Service's.
func (r *Reconciler) convergeService(ctx context.Context, s *scope, wanted *corev1.Service, spec *v1alpha1.WorkloadService, adopt bool) error {
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
	if problem := s.foreignService(existing, spec, adopt); problem != nil {
		return problem
	}
	if epochOf(existing) > s.ledger.Epoch() {
		return fmt.Errorf("change %s: %w", describe(wanted), ledger.ErrSuperseded)
	}
	if !s.owns(existing) {
		if err := r.adoptService(ctx, s, existing, wanted); err != nil {
			return err
		}
	}
	changed := existing.DeepCopy()
	adjust(changed, wanted)
	return r.patchService(ctx, s, existing, changed)
}

// checkServices finds Services that could not be changed at the switch, before
// anything is built for it.
func (r *Reconciler) checkServices(ctx context.Context, s *scope, p *plan) error {
	for i := range p.Workloads {
		wanted := p.Workloads[i].Service
		if wanted == nil {
			continue
		}
		for _, name := range []string{wanted.Name, wanted.Name + previewSuffix} {
			existing := &corev1.Service{}
			err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: name}, existing)
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("read Service %s: %w", name, err)
			}
			if problem := s.foreignService(existing, wanted, wanted.Adopt && name == wanted.Name); problem != nil {
				return problem
			}
		}
	}
	return nil
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
	undress(service, wanted)
	claimService(service, wanted)
	service.Spec.Selector = maps.Clone(wanted.Spec.Selector)
	expose(&service.Spec, &wanted.Spec, fieldsWritten(service))
	nodePorts := map[int32]int32{}
	if fromOutside(service.Spec.Type) {
		for _, port := range service.Spec.Ports {
			nodePorts[port.Port] = port.NodePort
		}
	}
	ports := append([]corev1.ServicePort(nil), wanted.Spec.Ports...)
	for i := range ports {
		if ports[i].NodePort == 0 {
			ports[i].NodePort = nodePorts[ports[i].Port]
		}
	}
	service.Spec.Ports = ports
}

// claimService writes the release's labels, annotations and owner.
func claimService(service, wanted *corev1.Service) {
	service.Labels = merged(service.Labels, wanted.Labels)
	service.Annotations = merged(service.Annotations, wanted.Annotations)
	if !equality.Semantic.DeepEqual(metav1.GetControllerOf(service), metav1.GetControllerOf(wanted)) {
		service.OwnerReferences = wanted.OwnerReferences
	}
}
