package releases

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Tracker names what keeps the release as a repository has it and would undo a
// change of its version: "Argo CD application x" or "Flux Kustomization x".
// It is empty when nothing does.
func Tracker(release *v1alpha1.NawhasRelease) string {
	labels, annotations := release.Labels, release.Annotations
	if id := annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		name, _, _ := strings.Cut(id, ":")
		return "Argo CD application " + name
	}
	for _, known := range []struct{ label, tool string }{
		{"argocd.argoproj.io/instance", "Argo CD application "},
		{"kustomize.toolkit.fluxcd.io/name", "Flux Kustomization "},
		{"helm.toolkit.fluxcd.io/name", "Flux HelmRelease "},
	} {
		if name := labels[known.label]; name != "" {
			return known.tool + name
		}
	}
	return managerOf(release, "f:spec", "f:version")
}

// managers are the field managers of tools that keep objects as a repository has them.
var managers = map[string]string{
	"argocd-controller":             "Argo CD",
	"argocd-application-controller": "Argo CD",
	"kustomize-controller":          "Flux",
	"helm-controller":               "Flux",
	"flux":                          "Flux",
}

// managerOf names the tool that owns a field, by the object's managed fields.
func managerOf(release *v1alpha1.NawhasRelease, path ...string) string {
	for _, entry := range release.ManagedFields {
		if tool, known := managers[entry.Manager]; known && owns(entry, path) {
			return tool
		}
	}
	return ""
}

func owns(entry metav1.ManagedFieldsEntry, path []string) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	fields := json.RawMessage(entry.FieldsV1.GetRawBytes())
	for _, step := range path {
		var below map[string]json.RawMessage
		if err := json.Unmarshal(fields, &below); err != nil {
			return false
		}
		next, found := below[step]
		if !found {
			return false
		}
		fields = next
	}
	return true
}
