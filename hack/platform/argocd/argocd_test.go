package argocd_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nawhas/nawhas-operator/hack/platform/argocd"
)

const (
	scripts  = "../../../config/argocd"
	releases = "../testdata/releases"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// release is one that the operator's own tests captured.
func release(t *testing.T, name string) map[string]any {
	t.Helper()
	manifest := map[string]any{}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(releases, name+".yaml"))), &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

func run(t *testing.T, script string, manifest map[string]any) map[string]any {
	t.Helper()
	returned, err := argocd.Run(t.Context(), read(t, filepath.Join(scripts, script)), manifest)
	if err != nil {
		t.Fatal(script, err)
	}
	return returned
}

func at(object map[string]any, path ...string) any {
	var value any = object
	for _, name := range path {
		inner, _ := value.(map[string]any)
		value = inner[name]
	}
	return value
}

func TestHealth(t *testing.T) {
	set := func(change func(map[string]any)) func(*testing.T) map[string]any {
		return func(t *testing.T) map[string]any {
			manifest := release(t, "live")
			change(manifest)
			return manifest
		}
	}
	captured := func(name string) func(*testing.T) map[string]any {
		return func(t *testing.T) map[string]any { return release(t, name) }
	}
	waits := func(reason string) func(*testing.T) map[string]any {
		return set(func(m map[string]any) {
			setCondition(m, "Ready", "False")
			conditions, _ := at(m, "status", "conditions").([]any)
			for _, condition := range conditions {
				if condition, _ := condition.(map[string]any); condition["type"] == "Ready" {
					condition["reason"], condition["message"] = reason, "version 3.2.0 is not live"
				}
			}
		})
	}
	for name, test := range map[string]struct {
		manifest func(*testing.T) map[string]any
		status   string
		says     string
	}{
		"nothing live yet":           {captured("building"), "Progressing", ""},
		"live":                       {captured("live"), "Healthy", "version 3.1.2 is live"},
		"another is being built":     {captured("candidate"), "Progressing", ""},
		"awaiting approval":          {captured("awaiting-approval"), "Suspended", "approved"},
		"suspended":                  {waits("Suspended"), "Suspended", "is not live"},
		"a dry run":                  {waits("DryRun"), "Suspended", "is not live"},
		"held by an annotation":      {captured("held"), "Suspended", "releases.nawhas.com/hold holds version 3.1.2"},
		"sent back":                  {captured("sent-back"), "Degraded", "raise spec.retry"},
		"a Secret is missing":        {captured("secret-missing"), "Degraded", "nawhas-source"},
		"no status":                  {set(func(m map[string]any) { delete(m, "status") }), "Progressing", "has not looked"},
		"a status without a word":    {set(func(m map[string]any) { m["status"] = map[string]any{} }), "Progressing", "has not looked"},
		"a change not seen yet":      {set(func(m map[string]any) { m["metadata"].(map[string]any)["generation"] = float64(99) }), "Progressing", "latest change"},
		"being deleted":              {set(func(m map[string]any) { m["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-01T00:00:00Z" }), "Progressing", "deleted"},
		"live, and no pod available": {set(func(m map[string]any) { setCondition(m, "Available", "False") }), "Progressing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			health := run(t, "health.lua", test.manifest(t))
			message, _ := health["message"].(string)
			if health["status"] != test.status || message == "" || !strings.Contains(message, test.says) {
				t.Errorf("it says %v, not %s with %q", health, test.status, test.says)
			}
		})
	}
}

// TestOnlyStalledIsDegraded tries every condition in every state.
func TestOnlyStalledIsDegraded(t *testing.T) {
	for _, file := range []string{"building", "live", "candidate", "awaiting-approval"} {
		conditions, _ := at(release(t, file), "status", "conditions").([]any)
		for _, condition := range conditions {
			name, _ := condition.(map[string]any)["type"].(string)
			for _, status := range []string{"True", "False", "Unknown"} {
				manifest := release(t, file)
				setCondition(manifest, name, status)
				degraded := run(t, "health.lua", manifest)["status"] == "Degraded"
				if degraded != (name == "Stalled" && status == "True") {
					t.Errorf("%s with %s=%s: Degraded is %v", file, name, status, degraded)
				}
			}
		}
	}
}

func setCondition(manifest map[string]any, name, status string) {
	conditions, _ := at(manifest, "status", "conditions").([]any)
	for _, condition := range conditions {
		if condition, _ := condition.(map[string]any); condition["type"] == name {
			condition["status"] = status
		}
	}
}

func TestActionsOffered(t *testing.T) {
	for name, want := range map[string][]string{
		"building":          {"suspend"},
		"live":              {"hold", "suspend"},
		"candidate":         {"abort", "hold", "suspend"},
		"awaiting-approval": {"abort", "hold", "promote", "resume"},
		"held":              {"resume", "suspend"},
		"sent-back":         {"hold", "retry", "suspend"},
		"secret-missing":    {"suspend"},
	} {
		t.Run(name, func(t *testing.T) {
			offered := run(t, "actions/discovery.lua", release(t, name))
			var possible []string
			for _, action := range slices.Sorted(maps.Keys(offered)) {
				if at(offered, action, "disabled") == false {
					possible = append(possible, action)
				}
				if _, err := os.Stat(filepath.Join(scripts, "actions", action+".lua")); err != nil {
					t.Errorf("the action %s has no script: %v", action, err)
				}
			}
			if !slices.Equal(possible, want) {
				t.Errorf("it offers %v, not %v", possible, want)
			}
		})
	}
}

func TestActions(t *testing.T) {
	const hold = "releases.nawhas.com/hold"
	for name, test := range map[string]struct {
		action, release string
		path            []string
		want            any
	}{
		"promote":            {"promote", "awaiting-approval", []string{"spec", "promotion", "approved"}, "3.2.0"},
		"abort":              {"abort", "candidate", []string{"metadata", "annotations", hold}, "3.1.2"},
		"hold":               {"hold", "live", []string{"metadata", "annotations", hold}, "3.1.2"},
		"retry":              {"retry", "sent-back", []string{"spec", "retry"}, int64(1)},
		"suspend":            {"suspend", "live", []string{"spec", "promotion", "mode"}, "Manual"},
		"resume a held one":  {"resume", "held", []string{"metadata", "annotations"}, nil},
		"resume a suspended": {"resume", "awaiting-approval", []string{"spec", "promotion", "mode"}, "Automatic"},
	} {
		t.Run(name, func(t *testing.T) {
			before := release(t, test.release)
			after := run(t, "actions/"+test.action+".lua", before)
			if got := at(after, test.path...); got != test.want {
				t.Errorf("%v is %v, not %v", test.path, got, test.want)
			}
			if after["kind"] != "NawhasRelease" || at(after, "spec", "version") != at(before, "spec", "version") {
				t.Errorf("something else changed: %v", after)
			}
		})
	}
}

func TestAScriptCannotReachOut(t *testing.T) {
	for _, script := range []string{`return os.getenv("HOME")`, `return io.open("/etc/passwd")`, `while true do end`} {
		if _, err := argocd.Run(t.Context(), script, nil); err == nil {
			t.Errorf("%s ran", script)
		}
	}
}
