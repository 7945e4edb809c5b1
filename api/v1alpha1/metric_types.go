package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReasonMetricFailed is a version that was sent back because of what a Prometheus said of it.
const ReasonMetricFailed = "MetricFailed"

// MetricCheck is what Prometheus must say of a version while it is watched after its switch. The version
// fails when the value was above max, or below min, for all of failAfter.
//
// +kubebuilder:validation:XValidation:rule="has(self.max) || has(self.min)",message="set max, min, or both: without them no value is wrong"
type MetricCheck struct {
	// name tells the checks of a release apart.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// prometheus says whom to ask for what.
	// +required
	Prometheus PrometheusQuery `json:"prometheus"`

	// max is the highest value that is well, as a decimal number such as "0.01".
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^-?[0-9]+([.][0-9]+)?$`
	// +optional
	Max string `json:"max,omitempty"`

	// min is the lowest value that is well, as a decimal number such as "0.99".
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^-?[0-9]+([.][0-9]+)?$`
	// +optional
	Min string `json:"min,omitempty"`

	// failAfter is for how long the value must have been wrong without a break. A moment without a value is a break.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be a duration of a second or more, such as 10s"
	// +kubebuilder:default="10s"
	// +optional
	FailAfter *metav1.Duration `json:"failAfter,omitempty"`
}

// PrometheusQuery asks a Prometheus, or what answers like one, for a number.
type PrometheusQuery struct {
	// address is the server's, such as http://prometheus.monitoring.svc:9090. The operator's pod must reach it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@\s]+(/[^?#\s]*)?$`
	// +required
	Address string `json:"address"`

	// query is PromQL that finds one series. $version, $namespace and $release stand for the version that is
	// watched and its release.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +required
	Query string `json:"query"`
}
