package install

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unknownTo lists the fields that a definition has and another one does not
// know, the outermost of each branch, with the version of the API before them.
func unknownTo(other, definition *unstructured.Unstructured) []string {
	known := fieldsOf(other)
	var unknown []string
	for _, field := range slices.Sorted(maps.Keys(fieldsOf(definition))) {
		within := len(unknown) > 0 && strings.HasPrefix(field, unknown[len(unknown)-1]+".")
		if !known[field] && !within {
			unknown = append(unknown, field)
		}
	}
	return unknown
}

// fieldsOf are the paths of all fields of a definition.
func fieldsOf(definition *unstructured.Unstructured) map[string]bool {
	fields := map[string]bool{}
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, version := range versions {
		described, _ := version.(map[string]any)
		name, _, _ := unstructured.NestedString(described, "name")
		schema, _, _ := unstructured.NestedMap(described, "schema", "openAPIV3Schema")
		fields[name] = true
		collect(name, schema, fields)
	}
	return fields
}

func collect(path string, schema map[string]any, fields map[string]bool) {
	properties, _ := schema["properties"].(map[string]any)
	for name, below := range properties {
		fields[path+"."+name] = true
		if described, ok := below.(map[string]any); ok {
			collect(path+"."+name, described, fields)
		}
	}
	for _, inner := range []string{"items", "additionalProperties"} {
		if described, ok := schema[inner].(map[string]any); ok {
			collect(path, described, fields)
		}
	}
}

// How long the API server may take to serve a new definition, and how often it
// is asked.
const (
	establishing = 30 * time.Second
	askEvery     = 100 * time.Millisecond
)

// established waits until releases can be created.
func (i *Installation) established(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		err := wait.PollUntilContextTimeout(ctx, askEvery, establishing, true, func(ctx context.Context) (bool, error) {
			there := &unstructured.Unstructured{}
			there.SetGroupVersionKind(object.GroupVersionKind())
			if err := i.Client.Get(ctx, client.ObjectKeyFromObject(object), there); err != nil {
				return false, err
			}
			return isEstablished(there), nil
		})
		if err != nil {
			return fmt.Errorf("wait until the API server serves %s: %w", object.GetName(), err)
		}
	}
	return nil
}

func isEstablished(definition *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["type"] == "Established" {
			return c["status"] == "True"
		}
	}
	return false
}
