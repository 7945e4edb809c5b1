package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NawhasRelease says which version of Nawhas should be live. For each version
// the operator builds a database from the log of events, proves that it is
// right, and only then lets that version's pods serve.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=nr,categories=all
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`,description="The version that should be live"
// +kubebuilder:printcolumn:name="Live",type=string,JSONPath=`.status.live`,description="The version that is live"
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="What is happening"
// +kubebuilder:printcolumn:name="Lag",type=integer,JSONPath=`.status.lag`,description="Events that the database of the version that is to be live has yet to apply"
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="Whether a live version serves"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the wanted version is live"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40",message="metadata.name must have at most 40 characters, because names of Jobs and Services are made from it"
type NawhasRelease struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what should be live, and how to get there.
	// +required
	Spec NawhasReleaseSpec `json:"spec,omitempty,omitzero"`

	// status is what is live, and how far the wanted version got.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status NawhasReleaseStatus `json:"status,omitempty,omitzero"`
}

// NawhasReleaseList is a list of NawhasReleases.
//
// +kubebuilder:object:root=true
type NawhasReleaseList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the releases.
	// +required
	Items []NawhasRelease `json:"items"`
}
