package release

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// adoptService makes a Service that was not made for the release its own. It
// leads where it did before: the selector is changed by whoever called.
func (r *Reconciler) adoptService(ctx context.Context, s *scope, existing, wanted *corev1.Service) error {
	changed := existing.DeepCopy()
	claimService(changed, wanted)
	if err := r.patchService(ctx, s, existing, changed); err != nil {
		return err
	}
	changed.DeepCopyInto(existing)
	r.event(s, eventNormal, "Adopted", fmt.Sprintf("took Service %s over, as adopt allows; it is the release's from now on", wanted.Name))
	return nil
}

// foreignService says why a Service is not to be changed: it is not the
// release's, and nobody allowed to take it over, or somebody else keeps it, or it
// is one that the spec cannot describe.
func (s *scope) foreignService(service *corev1.Service, wanted *v1alpha1.WorkloadService, adopt bool) error {
	if s.owns(service) {
		return nil
	}
	remedy := "Delete or rename it, choose another name in the spec, or set adopt: true beside its name to take it over"
	if owner := metav1.GetControllerOf(service); owner != nil {
		remedy = fmt.Sprintf("%s %s keeps it, so that it cannot be adopted either; choose another name in the spec", owner.Kind, owner.Name)
	} else if adopt {
		remedy = notAdoptable(service, wanted)
	}
	if remedy == "" {
		return nil
	}
	return &foreignObjectError{kind: "Service", name: service.Name, remedy: remedy}
}

// notAdoptable says what keeps a Service from being taken over, "" for nothing:
// clients would lose ports, or not be led to the version at all.
func notAdoptable(service *corev1.Service, wanted *v1alpha1.WorkloadService) string {
	if service.Spec.Type == corev1.ServiceTypeExternalName && wanted.Type == "" {
		return fmt.Sprintf("It cannot be adopted as it is: it is of type ExternalName and leads to %s, not to pods. "+
			"Set type: ClusterIP beside its name to have that changed at the switch, or choose another name in the spec", service.Spec.ExternalName)
	}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			return fmt.Sprintf("It cannot be adopted as it is: it has %s port %d, and a release's Services have TCP ports only, so that its clients would lose that one. "+
				"Move it to another Service, or choose another name in the spec", port.Protocol, port.Port)
		}
	}
	return ""
}
