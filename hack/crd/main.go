// Command crd finishes the CRD that controller-gen writes.
//
// It removes the descriptions inside schemas that the CRD embeds, such as a pod
// template's. They are Kubernetes' own documentation, and with them the CRD is
// larger than the 256 KiB that `kubectl apply` can keep in its annotation.
//
// And it refuses quantities and ports that the API server would take and Go
// cannot read: one such object would keep an operator from reading any.
package main

import (
	"fmt"
	"math"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "Usage: crd FILE spec.path.to.field...")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

func rewrite(file string, fields []string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the CRD: %w", err)
	}
	for _, field := range fields {
		if content, err = strip(content, strings.Split(field, ".")); err != nil {
			return fmt.Errorf("strip %s: %w", file, err)
		}
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return fmt.Errorf("write the CRD: %w", err)
	}
	return nil
}

func strip(content []byte, path []string) ([]byte, error) {
	var crd map[string]any
	if err := yaml.Unmarshal(content, &crd); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	spec, _ := crd["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, version := range versions {
		version, _ := version.(map[string]any)
		schema, _ := version["schema"].(map[string]any)
		root, _ := schema["openAPIV3Schema"].(map[string]any)
		embedded, err := find(root, path)
		if err != nil {
			return nil, err
		}
		own := embedded["description"]
		dropDescriptions(embedded)
		if own != nil {
			embedded["description"] = own
		}
		bound(root)
	}
	stripped, err := yaml.Marshal(crd)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return append([]byte("---\n"), stripped...), nil
}

// find goes down by the names of fields; lists on the way are passed through.
func find(schema map[string]any, path []string) (map[string]any, error) {
	for _, name := range path {
		if items, isList := schema["items"].(map[string]any); isList {
			schema = items
		}
		properties, _ := schema["properties"].(map[string]any)
		next, found := properties[name].(map[string]any)
		if !found {
			return nil, fmt.Errorf("the schema has no field %s on the way to %s", name, strings.Join(path, "."))
		}
		schema = next
	}
	return schema, nil
}

// What controller-gen writes for the exponent of a quantity, and what
// resource.ParseQuantity reads.
const (
	anyExponent     = `([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+)))`
	integerExponent = `([eE](\+|-)?[0-9]{1,2})`
)

// bound limits every value that is a number or a text: a quantity to exponents
// that are integers, any other to numbers of 32 bits, as IntOrString has them.
func bound(schema map[string]any) {
	if schema["x-kubernetes-int-or-string"] == true {
		if pattern, isQuantity := schema["pattern"].(string); isQuantity {
			schema["pattern"] = strings.ReplaceAll(pattern, anyExponent, integerExponent)
		} else {
			schema["minimum"], schema["maximum"] = math.MinInt32, math.MaxInt32
		}
	}
	for _, value := range schema {
		if inner, ok := value.(map[string]any); ok {
			bound(inner)
		}
	}
}

// dropDescriptions keeps fields that are named description.
func dropDescriptions(schema map[string]any) {
	delete(schema, "description")
	if properties, ok := schema["properties"].(map[string]any); ok {
		for _, property := range properties {
			if property, ok := property.(map[string]any); ok {
				dropDescriptions(property)
			}
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := schema[key].(map[string]any); ok {
			dropDescriptions(inner)
		}
	}
}
