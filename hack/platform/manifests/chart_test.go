package manifests_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nawhas/nawhas-operator/hack/platform/manifests"
)

// TestGolden renders the chart with each testdata/*/values.yaml and compares it
// with golden.yaml beside it. UPDATE=1 writes them anew.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			rendered, err := manifests.Chart(chart, valuesIn(t, file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := manifests.YAML(withoutDefinitions(rendered))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join(filepath.Dir(file), "golden.yaml")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the chart renders something else than %s; look at it, and run with UPDATE=1 if it is right:\n%s", golden, got)
			}
		})
	}
}

// withoutDefinitions leaves out what is long and compared with config: the definition,
// the dashboard and the alerts.
func withoutDefinitions(objects []manifests.Object) []manifests.Object {
	var others []manifests.Object
	for _, object := range objects {
		if object["kind"] != "CustomResourceDefinition" && object["kind"] != "ConfigMap" && object["kind"] != "PrometheusRule" {
			others = append(others, object)
		}
	}
	return others
}

// TestLabelsForOthers looks at what Grafana's and Prometheus' operators go by.
func TestLabelsForOthers(t *testing.T) {
	rendered, err := manifests.Chart(chart, map[string]any{"metrics": map[string]any{
		"prometheusRule": map[string]any{"enabled": true, "labels": map[string]any{"release": "prometheus"}},
		"dashboard": map[string]any{"enabled": true, "labels": map[string]any{"grafana_dashboard": nil, "dashboards": "yes"},
			"annotations": map[string]any{"grafana_folder": "Nawhas"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	found := byName(rendered)
	at := func(name, kind string) map[string]any {
		metadata, _ := found[name]["metadata"].(map[string]any)
		set, _ := metadata[kind].(map[string]any)
		return set
	}
	if labels := at("PrometheusRule/nawhas-operator/nawhas-operator", "labels"); labels["release"] != "prometheus" {
		t.Errorf("the rule's labels are %v", labels)
	}
	dashboard := "ConfigMap/nawhas-operator/nawhas-operator-dashboard"
	if labels := at(dashboard, "labels"); len(labels) != 1 || labels["dashboards"] != "yes" {
		t.Errorf("the dashboard's labels are %v", labels)
	}
	if annotations := at(dashboard, "annotations"); annotations["grafana_folder"] != "Nawhas" {
		t.Errorf("the dashboard's annotations are %v", annotations)
	}
}

// TestTheLease looks at what keeps two operators in one namespace apart: an
// installation of the usual name must have the lease that it always had.
func TestTheLease(t *testing.T) {
	for release, test := range map[string]struct {
		values          map[string]any
		lease, rightsIn string
	}{
		"nawhas-operator":         {nil, "", "nawhas-operator"},
		"prod":                    {nil, "--leader-elect-id=prod-nawhas-operator.releases.nawhas.com", "nawhas-operator"},
		"staging-nawhas-operator": {map[string]any{"flags": map[string]any{"leader-elect-namespace": "leases"}}, "--leader-elect-id=staging-nawhas-operator.releases.nawhas.com", "leases"},
	} {
		t.Run(release, func(t *testing.T) {
			rendered, err := manifests.ChartAs(release, chart, test.values)
			if err != nil {
				t.Fatal(err)
			}
			name := release
			if !strings.Contains(name, "nawhas-operator") {
				name += "-nawhas-operator"
			}
			found := byName(rendered)
			for _, kind := range []string{"Role/", "RoleBinding/"} {
				if found[kind+test.rightsIn+"/"+name+"-leader-election"] == nil {
					t.Errorf("there is no %s for the lease in namespace %s", kind, test.rightsIn)
				}
			}
			arguments := text(t, found["Deployment/nawhas-operator/"+name])
			if got := strings.Contains(arguments, "--leader-elect-id"); got != (test.lease != "") || !strings.Contains(arguments, test.lease) {
				t.Errorf("the operator's lease is not %q:\n%s", test.lease, arguments)
			}
		})
	}
}

func valuesIn(t *testing.T, file string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestTheSchemaRefusesValuesThatCannotWork(t *testing.T) {
	for name, test := range map[string]struct{ values, want string }{
		"a misspelt value":                      {"replica: 2", "additional properties 'replica' not allowed"},
		"no operator":                           {"replicas: 0", "at '/replicas': minimum"},
		"a tag in the repository":               {"image: {repository: 'ghcr.io/nawhas/nawhas-operator:v1'}", "at '/image/repository'"},
		"a tag with a space":                    {"image: {tag: 'v 1'}", "at '/image/tag'"},
		"a digest cut short":                    {"image: {digest: 'sha256:abc'}", "at '/image/digest'"},
		"a namespace that cannot be":            {"watchNamespaces: [Nawhas]", "at '/watchNamespaces/0'"},
		"a namespace twice":                     {"watchNamespaces: [a, a]", "at '/watchNamespaces'"},
		"namespaces in one text":                {"watchNamespaces: 'a,b'", "at '/watchNamespaces'"},
		"a monitor of metrics that are off":     {"metrics: {enabled: false, serviceMonitor: {enabled: true}}", "at '/metrics/serviceMonitor/enabled'"},
		"alerts on metrics that are off":        {"metrics: {enabled: false, prometheusRule: {enabled: true}}", "at '/metrics/prometheusRule/enabled'"},
		"a dashboard of metrics that are off":   {"metrics: {enabled: false, dashboard: {enabled: true}}", "at '/metrics/dashboard/enabled'"},
		"a label that is no text":               {"metrics: {dashboard: {labels: {grafana_dashboard: 1}}}", "at '/metrics/dashboard/labels/grafana_dashboard'"},
		"memory in a unit that is none":         {"resources: {limits: {memory: 256MB}}", "at '/resources/limits/memory'"},
		"an interval without a unit":            {"metrics: {serviceMonitor: {interval: '30'}}", "at '/metrics/serviceMonitor/interval'"},
		"a toleration of an unknown kind":       {"tolerations: [{key: a, operator: Is}]", "at '/tolerations/0/operator'"},
		"a secret whose name cannot be":         {"image: {pullSecrets: ['my registry']}", "at '/image/pullSecrets/0'"},
		"a budget that lets no node be drained": {"podDisruptionBudget: {maxUnavailable: 0}", "at '/podDisruptionBudget/maxUnavailable'"},
		"a lease in a namespace that cannot be": {"flags: {leader-elect-namespace: Leases}", "at '/flags/leader-elect-namespace'"},
		"a port that cannot be":                 {"networkPolicy: {databasePorts: [70000]}", "at '/networkPolicy/databasePorts/0'"},
		"no port for the databases":             {"networkPolicy: {databasePorts: []}", "at '/networkPolicy/databasePorts'"},
		"metrics for everybody":                 {"networkPolicy: {metricsFrom: []}", "at '/networkPolicy/metricsFrom'"},
		"labels for the name of a namespace":    {"networkPolicy: {metricsFrom: {team: a}}", "at '/networkPolicy/metricsFrom'"},
	} {
		t.Run(name, func(t *testing.T) {
			var values map[string]any
			if err := yaml.Unmarshal([]byte(test.values), &values); err != nil {
				t.Fatal(err)
			}
			_, err := manifests.Chart(chart, values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v; it should say %q", test.values, err, test.want)
			}
		})
	}
}
