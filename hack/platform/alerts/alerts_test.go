//go:build platform

// Package alerts_test has promtool test the alerts of config/prometheus.
package alerts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	folder   = "../../../config/prometheus"
	runbooks = "../../../docs/monitoring.md"
	link     = "https://github.com/nawhas/nawhas-operator/blob/main/docs/monitoring.md#"
)

type rules struct {
	Spec struct {
		Groups []struct {
			Name  string           `json:"name"`
			Rules []map[string]any `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

func readRules(t *testing.T) rules {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var found rules
	if err := yaml.UnmarshalStrict(content, &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAlerts gives promtool the rules without the wrapping of Kubernetes.
func TestAlerts(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed (Debian: prometheus): the alerts were NOT CHECKED")
	}
	written, err := yaml.Marshal(map[string]any{"groups": readRules(t).Spec.Groups})
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join(folder, "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	for name, content := range map[string][]byte{"rules.yaml": written, "rules_test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(place, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = place
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestEveryAlertHasARunbookAndATest(t *testing.T) {
	tests, err := os.ReadFile(filepath.Join(folder, "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	told, err := os.ReadFile(runbooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range readRules(t).Spec.Groups {
		for _, rule := range group.Rules {
			name, _ := rule["alert"].(string)
			entry, found := entryOf(string(told), name)
			if !found {
				t.Errorf("%s has no entry for %s", runbooks, name)
			}
			for _, part := range []string{"**Means:**", "**Look at:**", "**Do:**"} {
				if !strings.Contains(entry, part) {
					t.Errorf("the entry of %s lacks %s", name, part)
				}
			}
			annotations, _ := rule["annotations"].(map[string]any)
			if annotations["runbook_url"] != link+strings.ToLower(name) {
				t.Errorf("%s links to %v", name, annotations["runbook_url"])
			}
			if !strings.Contains(string(tests), "- alertname: "+name+"\n") {
				t.Errorf("no test has %s fire", name)
			}
		}
	}
}

// entryOf is what a document says below the heading of an alert.
func entryOf(document, alert string) (string, bool) {
	_, rest, found := strings.Cut(document, "\n### "+alert+"\n")
	entry, _, _ := strings.Cut(rest, "\n### ")
	return entry, found
}
