package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// fragments that are no manifests and no part of a release, by their first line,
// and where they are tested.
var fragments = map[string]string{
	"data:": "hack/platform/argocd reads config/argocd, which this points to",
}

// TestManifestsAreAccepted lets an API server look at every manifest in the
// documents, and at every part of a release's spec.
func TestManifestsAreAccepted(t *testing.T) {
	s := newStage(t)
	s.shell("kubectl nawhas install")
	s.must(s.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "yaml" {
				continue
			}
			t.Run(b.in(d), func(t *testing.T) { s.accept(t, b) })
		}
	}
}

func (s *stage) accept(t *testing.T, b block) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(b.text), &content); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(b.text, "\n")
	switch {
	case content["kind"] == "Kustomization":
		s.kustomize(t, b.text)
	case content["kind"] != nil:
		s.try(t, content)
	case fragments[first] == "":
		s.try(t, sampleWith(t, content))
	}
}

// try applies a manifest without storing anything. Fields that nobody knows are
// refused.
func (s *stage) try(t *testing.T, content map[string]any) {
	object := &unstructured.Unstructured{Object: content}
	if object.GetNamespace() == "" {
		object.SetNamespace(namespace)
	}
	options := []client.PatchOption{client.DryRunAll, client.FieldOwner("test"), client.FieldValidation(metav1.FieldValidationStrict), client.ForceOwnership}
	encoded, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.Patch(t.Context(), object, client.RawPatch("application/apply-patch+yaml", encoded), options...); err != nil {
		t.Error(err)
	}
}

// sampleWith is the sample release with fields of its spec replaced.
func sampleWith(t *testing.T, fields map[string]any) map[string]any {
	content, err := os.ReadFile(filepath.Join(root, "config", "samples", "nawhasrelease.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := yaml.Unmarshal(content, &sample); err != nil {
		t.Fatal(err)
	}
	if inner, whole := fields["spec"].(map[string]any); whole {
		fields = inner
	}
	for name, value := range fields {
		sample["spec"].(map[string]any)[name] = value
	}
	return sample
}

// kustomize builds an overlay that lies beside config/.
func (s *stage) kustomize(t *testing.T, text string) {
	whole, err := filepath.Abs(filepath.Join(root, "config"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	overlay := filepath.Join(folder, "overlay")
	if err := os.Mkdir(overlay, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(whole, filepath.Join(folder, "config")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.shell("kubectl kustomize " + overlay); !strings.Contains(out, "kind: Deployment") {
		t.Errorf("it builds\n%s", out)
	}
}
