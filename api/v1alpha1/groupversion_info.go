// Package v1alpha1 is the API of releases.nawhas.com: the NawhasRelease, which
// says what version should be live, and tells how far it got.
//
// It holds types, defaults, validation and the words of the status. It decides
// nothing: the controllers do.
//
// +kubebuilder:object:generate=true
// +groupName=releases.nawhas.com
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: "releases.nawhas.com", Version: "v1alpha1"}

	// SchemeBuilder registers the types of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &NawhasRelease{}, &NawhasReleaseList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
