package manifests_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/platform/manifests"
)

const (
	root  = "../../.."
	chart = root + "/charts/nawhas-operator"
)

// TestChartAndKustomizeInstallTheSame compares the chart's objects, option by
// option, with what kustomize builds. Only what belongs to a tool differs: the
// namespace, which Helm makes itself, and the labels that say who manages.
func TestChartAndKustomizeInstallTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		values     map[string]any
		components []string
	}{
		"default":        {},
		"namespaced":     {map[string]any{"watchNamespaces": []any{"nawhas"}}, []string{"namespaced"}},
		"network policy": {map[string]any{"networkPolicy": map[string]any{"enabled": true}}, []string{"network-policy"}},
		"disruptions":    {map[string]any{"podDisruptionBudget": map[string]any{"enabled": true}}, []string{"pod-disruption-budget"}},
		"monitor":        {map[string]any{"metrics": map[string]any{"serviceMonitor": map[string]any{"enabled": true}}}, []string{"service-monitor"}},
		"alerts":         {map[string]any{"metrics": map[string]any{"prometheusRule": map[string]any{"enabled": true}}}, []string{"alerts"}},
		"dashboard":      {map[string]any{"metrics": map[string]any{"dashboard": map[string]any{"enabled": true}}}, []string{"dashboard"}},
	} {
		t.Run(name, func(t *testing.T) {
			fromChart, err := manifests.Chart(chart, test.values)
			if err != nil {
				t.Fatal(err)
			}
			built, err := manifests.Kustomize(root, "config/default", test.components...)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, byName(fromChart), byName(built))
		})
	}
}

func compare(t *testing.T, chart, kustomize map[string]manifests.Object) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(kustomize)) {
		if _, both := chart[name]; !both {
			t.Errorf("only kustomize has %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(chart)) {
		other, both := kustomize[name]
		if !both {
			t.Errorf("only the chart has %s", name)
			continue
		}
		if !reflect.DeepEqual(chart[name], other) {
			t.Errorf("%s differs\nchart:\n%s\nkustomize:\n%s", name, text(t, chart[name]), text(t, other))
		}
	}
}

// byName are the objects by their names, without what belongs to a tool.
func byName(objects []manifests.Object) map[string]manifests.Object {
	found := map[string]manifests.Object{}
	for _, object := range objects {
		if object["kind"] == "Namespace" {
			continue
		}
		metadata, _ := object["metadata"].(map[string]any)
		labels, _ := metadata["labels"].(map[string]any)
		for _, label := range []string{
			"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart",
		} {
			delete(labels, label)
		}
		if len(labels) == 0 {
			delete(metadata, "labels")
		}
		annotations, _ := metadata["annotations"].(map[string]any)
		delete(annotations, "helm.sh/resource-policy")
		found[object.Name()] = object
	}
	return found
}

func text(t *testing.T, object manifests.Object) string {
	t.Helper()
	written, err := manifests.YAML([]manifests.Object{object})
	if err != nil {
		t.Fatal(err)
	}
	return written
}
