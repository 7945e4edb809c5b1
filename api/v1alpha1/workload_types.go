package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is a set of alike pods of a version.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.exclusive) && self.exclusive && has(self.service))",message="an exclusive workload runs for the live version only, so a Service in front of it would be empty during a switch; remove service or exclusive"
type Workload struct {
	// name of the workload. The Deployment of a version is named after it.
	// +kubebuilder:validation:XValidation:rule="!(self in ['follower', 'migrate', 'replay', 'verify', 'plan', 'owner', 'app'])",message="this name is taken by the operator's own objects; choose another"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="name must hold only lower-case letters, digits and dashes, and neither begin nor end with a dash"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	// +required
	Name string `json:"name,omitempty"`

	// replicas is the number of pods of each version. It applies to every version that has pods, at once.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// exclusive makes the workload run for the live version only, as workers of a shared queue must.
	// +optional
	Exclusive bool `json:"exclusive,omitempty"`

	// template is the pods' template. A container without an image gets spec.image, and every
	// container gets the NAWHAS_ variables in front of its own.
	// +kubebuilder:validation:XValidation:rule="has(self.spec) && self.spec.containers.size() > 0",message="template.spec.containers must hold at least one container"
	// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy == 'Always'",message="restartPolicy must be Always or left out, because these pods serve until they are replaced"
	// +required
	Template corev1.PodTemplateSpec `json:"template,omitempty,omitzero"`

	// service is the Service that is pointed at the live version's pods.
	// +optional
	Service *WorkloadService `json:"service,omitempty"`
}

// WorkloadService is a Service in front of a workload. A second one, its name
// ending in -preview, shows the candidate.
type WorkloadService struct {
	// name of the Service.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')",message="name must hold only lower-case letters, digits and dashes, begin with a letter and not end with a dash"
	// +kubebuilder:validation:XValidation:rule="!self.endsWith('-preview')",message="names ending in -preview are taken by the Services that show a candidate; choose another"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=55
	// +required
	Name string `json:"name,omitempty"`

	// ports of the Service.
	// +listType=map
	// +listMapKey=port
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.size() == 1 || self.all(p, has(p.name))",message="with several ports, each needs a name"
	// +kubebuilder:validation:XValidation:rule="self.filter(p, has(p.name)).map(p, p.name).all(n, self.filter(p, has(p.name) && p.name == n).size() == 1)",message="two ports have the same name; give each a name of its own"
	// +required
	Ports []ServicePort `json:"ports,omitempty"`
}

// ServicePort is one port of a Service.
type ServicePort struct {
	// name of the port. Several ports need one each.
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="name must hold only lower-case letters, digits and dashes, and neither begin nor end with a dash"
	// +optional
	Name string `json:"name,omitempty"`

	// port that the Service listens on.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +required
	Port int32 `json:"port,omitempty"`

	// targetPort is the pods' port, a number or a container port's name. It defaults to port.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && self.matches('[a-z]')",message="targetPort must be a number from 1 to 65535 or the name of a container's port"
	// +optional
	TargetPort *intstr.IntOrString `json:"targetPort,omitempty"`
}
