package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	plain "sigs.k8s.io/yaml"

	"github.com/nawhas/nawhas-operator/config"
	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

// Where the manifests install the operator, unless another place is named.
const (
	Namespace  = "nawhas-operator"
	repository = "ghcr.io/nawhas/nawhas-operator"
	operator   = "nawhas-operator"
)

// Image is the operator that belongs to this program.
func Image() string { return repository + ":" + buildinfo.Operator }

// Manifests are the objects that install the operator, in an order in which they
// can be applied.
func Manifests(namespace, image string) ([]*unstructured.Unstructured, error) {
	objects, err := objectsOf(config.Files, "default")
	if err != nil {
		return nil, fmt.Errorf("read the manifests of the operator: %w", err)
	}
	// Definitions and namespaces come before what needs them.
	var first, later []*unstructured.Unstructured
	for _, object := range objects {
		place(object, namespace)
		switch object.GetKind() {
		case "CustomResourceDefinition", "Namespace":
			first = append(first, object)
		case "Deployment":
			if err := setImage(object, image); err != nil {
				return nil, err
			}
			later = append(later, object)
		default:
			later = append(later, object)
		}
	}
	return append(first, later...), nil
}

// objectsOf reads what a kustomization names. Those below config/default name
// files and each other, and change nothing.
func objectsOf(files fs.FS, folder string) ([]*unstructured.Unstructured, error) {
	content, err := fs.ReadFile(files, path.Join(folder, "kustomization.yaml"))
	if err != nil {
		return nil, err
	}
	var kustomization struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
	}
	if err := plain.UnmarshalStrict(content, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	var all []*unstructured.Unstructured
	for _, resource := range kustomization.Resources {
		var found []*unstructured.Unstructured
		name := path.Join(folder, resource)
		if strings.HasSuffix(name, ".yaml") {
			found, err = objectsIn(files, name)
		} else {
			found, err = objectsOf(files, name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func objectsIn(files fs.FS, name string) ([]*unstructured.Unstructured, error) {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content)); ; {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

// place moves an object from the manifests' own namespace to another one.
func place(object *unstructured.Unstructured, namespace string) {
	if object.GetKind() == "Namespace" {
		object.SetName(namespace)
	}
	if object.GetNamespace() != "" {
		object.SetNamespace(namespace)
	}
	subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
	for _, subject := range subjects {
		subject.(map[string]any)["namespace"] = namespace
	}
	if len(subjects) > 0 {
		object.Object["subjects"] = subjects
	}
}

func setImage(deployment *unstructured.Unstructured, image string) error {
	at := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, at...)
	if err != nil || len(containers) != 1 {
		return fmt.Errorf("the manifest of the Deployment has %d containers: %w", len(containers), err)
	}
	containers[0].(map[string]any)["image"] = image
	return unstructured.SetNestedSlice(deployment.Object, containers, at...)
}

// Print writes the manifests as one file that can be applied.
func Print(objects []*unstructured.Unstructured) ([]byte, error) {
	var text bytes.Buffer
	for i, object := range objects {
		content, err := plain.Marshal(object.Object)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if i > 0 {
			text.WriteString("---\n")
		}
		text.Write(content)
	}
	return text.Bytes(), nil
}
