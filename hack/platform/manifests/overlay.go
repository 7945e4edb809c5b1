package manifests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// overlayOf writes what a user writes to add components: a kustomization in a
// folder of its own, below root because kustomize takes relative paths only.
func overlayOf(root, folder string, components []string) (string, error) {
	overlay, err := os.MkdirTemp(filepath.Join(root, filepath.Dir(folder)), ".overlay-")
	if err != nil {
		return "", fmt.Errorf("make a folder for an overlay: %w", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../%s]\ncomponents:\n", filepath.Base(folder))
	for _, component := range components {
		fmt.Fprintf(&text, "  - ../components/%s\n", component)
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("write an overlay: %w", err)
	}
	return overlay, nil
}
