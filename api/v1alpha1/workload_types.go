package v1alpha1

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is a set of alike pods of a version.
//
// +kubebuilder:validation:XValidation:rule="!has(self.autoscaling) || !has(self.replicas) || self.replicas == 1",message="autoscaling decides the number of pods; remove replicas, or remove autoscaling"
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
	// With autoscaling it is left out.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling lets a HorizontalPodAutoscaler decide the number of the live version's pods. A candidate, and a
	// version that may come back, has as many pods as the live one has at the time. It applies at once, as replicas does.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// disruptionBudget says how many of a version's pods a drain of nodes may take away at a time: each version that
	// has pods gets a PodDisruptionBudget of its own. It applies at once, as replicas does.
	// +optional
	DisruptionBudget *DisruptionBudget `json:"disruptionBudget,omitempty"`

	// exclusive makes the workload run for the live version only, as workers of a shared queue must. Its pods are
	// started when those of other versions are gone from the API.
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

// Autoscaling is a HorizontalPodAutoscaler for a workload's live version.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be larger than maxReplicas"
type Autoscaling struct {
	// minReplicas is the smallest number of pods.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the largest number of pods.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	// +required
	MaxReplicas int32 `json:"maxReplicas,omitempty"`

	// metrics say what the number of pods is worked out from, as in autoscaling/v2. Without metrics it
	// is 80 % of the CPU that the pods request.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Metrics []autoscalingv2.MetricSpec `json:"metrics,omitempty"`

	// behavior says how fast the number goes up and down, as in autoscaling/v2.
	// +optional
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}

// DisruptionBudget is a PodDisruptionBudget for each version's pods of a workload.
//
// +kubebuilder:validation:XValidation:rule="has(self.minAvailable) != has(self.maxUnavailable)",message="give either minAvailable or maxUnavailable, as a number or as a percentage such as 50%"
type DisruptionBudget struct {
	// minAvailable is the number of pods, or their percentage, that stay.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^([0-9]|[1-9][0-9]|100)%$')",message="minAvailable must be a number of pods or a percentage such as 50%"
	// +optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`

	// maxUnavailable is the number of pods, or their percentage, that may be gone.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^([0-9]|[1-9][0-9]|100)%$')",message="maxUnavailable must be a number of pods or a percentage such as 50%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// unhealthyPodEvictionPolicy says whether pods that are not ready may be taken away in any case.
	// +kubebuilder:validation:Enum=IfHealthyBudget;AlwaysAllow
	// +optional
	UnhealthyPodEvictionPolicy policyv1.UnhealthyPodEvictionPolicyType `json:"unhealthyPodEvictionPolicy,omitempty"`
}

// WorkloadService is a Service in front of a workload. A second one, its name
// ending in -preview, shows the candidate: it has the ports, is of type ClusterIP, and has none of the rest.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",message="externalTrafficPolicy is for Services that are reached from outside; set type to NodePort or LoadBalancer, or remove it"
// +kubebuilder:validation:XValidation:rule="(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)) || (has(self.type) && self.type == 'LoadBalancer')",message="loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer; set it, or remove them"
// +kubebuilder:validation:XValidation:rule="self.ports.all(p, !has(p.nodePort)) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])",message="nodePort needs type NodePort or LoadBalancer; set it, or remove nodePort"
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

	// adopt lets the release take over a Service of this name that exists and was not made for it: when a version
	// goes live, the Service gets the release's labels and owner first, and its ports and selector last. From
	// then on it is the release's, and goes with it. Without adopt such a Service is left as it is, and
	// the release says so before it builds anything.
	// +optional
	Adopt bool `json:"adopt,omitempty"`

	// labels that the Service gets besides the operator's own.
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="labels need names such as team or example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('releases.nawhas.com/') && k != 'app.kubernetes.io/managed-by')",message="labels that begin with releases.nawhas.com/, and app.kubernetes.io/managed-by, are the operator's own; choose other names"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations that the Service gets, such as those that a load balancer or a DNS controller reads.
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="annotations need names such as note or example.com/note"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('releases.nawhas.com/'))",message="annotations that begin with releases.nawhas.com/ are the operator's own; choose other names"
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// type of the Service. Left out it is ClusterIP, and that of a Service which is adopted stays as it is.
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`

	// externalTrafficPolicy says whether traffic from outside goes to pods of the same node only (Local) or to all (Cluster).
	// +kubebuilder:validation:Enum=Cluster;Local
	// +optional
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// internalTrafficPolicy says the same of traffic from inside the cluster.
	// +kubebuilder:validation:Enum=Cluster;Local
	// +optional
	InternalTrafficPolicy corev1.ServiceInternalTrafficPolicy `json:"internalTrafficPolicy,omitempty"`

	// sessionAffinity ClientIP leads a client to the same pod each time, while the pod is there.
	// +kubebuilder:validation:Enum=None;ClientIP
	// +optional
	SessionAffinity corev1.ServiceAffinity `json:"sessionAffinity,omitempty"`

	// loadBalancerClass names the implementation of the load balancer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	LoadBalancerClass string `json:"loadBalancerClass,omitempty"`

	// loadBalancerSourceRanges are the addresses that the load balancer lets in, such as 203.0.113.0/24.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, r.matches('^[0-9a-fA-F.:]+/[0-9]{1,3}$'))",message="loadBalancerSourceRanges holds ranges of addresses, such as 203.0.113.0/24"
	// +optional
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="a label's value must hold only letters, digits, dots, dashes and underscores, and begin and end with a letter or digit"
type LabelValue string

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

	// nodePort that nodes listen on, with type NodePort or LoadBalancer. Left out, the cluster chooses one.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	NodePort int32 `json:"nodePort,omitempty"`

	// appProtocol names the protocol that the port speaks, such as http or kubernetes.io/h2c.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	AppProtocol string `json:"appProtocol,omitempty"`
}
