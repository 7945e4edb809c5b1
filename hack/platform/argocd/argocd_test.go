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

// changed is a captured release of which somebody changed the spec since.
func changed(t *testing.T, name string, spec map[string]any) map[string]any {
	t.Helper()
	manifest := release(t, name)
	fields, _ := manifest["spec"].(map[string]any)
	maps.Copy(fields, spec)
	return manifest
}

func TestActionsOffered(t *testing.T) {
	for name, test := range map[string]struct {
		release string
		spec    map[string]any
		want    []string
	}{
		"nothing live yet":         {"building", nil, []string{"abort", "suspend"}},
		"live":                     {"live", nil, []string{"hold", "suspend"}},
		"another is being built":   {"candidate", nil, []string{"abort", "hold", "suspend"}},
		"awaiting approval":        {"awaiting-approval", nil, []string{"abort", "hold", "promote", "suspend"}},
		"held by an annotation":    {"held", nil, []string{"resume", "suspend"}},
		"sent back":                {"sent-back", nil, []string{"hold", "retry", "suspend"}},
		"a Secret is missing":      {"secret-missing", nil, []string{"abort", "suspend"}},
		"suspended":                {"candidate", map[string]any{"suspend": true}, []string{"abort", "hold", "resume"}},
		"given up":                 {"candidate", map[string]any{"abort": "3.2.0"}, []string{"hold", "retry", "suspend"}},
		"another was given up":     {"candidate", map[string]any{"abort": "3.1.9"}, []string{"abort", "hold", "suspend"}},
		"held and suspended":       {"held", map[string]any{"suspend": true}, []string{"resume"}},
		"in an approved Manual":    {"live", map[string]any{"promotion": map[string]any{"mode": "Manual", "approved": "3.1.2"}}, []string{"hold", "suspend"}},
		"live, and named by abort": {"live", map[string]any{"abort": "3.1.2"}, []string{"hold", "suspend"}},
	} {
		t.Run(name, func(t *testing.T) {
			if possible := offered(t, changed(t, test.release, test.spec)); !slices.Equal(possible, test.want) {
				t.Errorf("it offers %v, not %v", possible, test.want)
			}
		})
	}
}

func TestAFailedStepCanBeTriedAgain(t *testing.T) {
	for _, reason := range []string{"JobFailed", "TimedOut", "EvidenceRefused", "RoundFailed"} {
		if possible := offered(t, failing(t, "candidate", "Migrated", reason)); !slices.Contains(possible, "retry") {
			t.Errorf("a step that failed for %s: it offers %v", reason, possible)
		}
	}
}

func TestAWayBackThatEndedIsNotTriedAgain(t *testing.T) {
	if possible := offered(t, failing(t, "live", "RollbackReady", "RoundFailed")); slices.Contains(possible, "retry") {
		t.Errorf("it offers %v", possible)
	}
}

// failing is a release of which a condition says why it is False.
func failing(t *testing.T, name, condition, reason string) map[string]any {
	t.Helper()
	manifest := release(t, name)
	conditions, _ := at(manifest, "status", "conditions").([]any)
	for _, c := range conditions {
		if c, _ := c.(map[string]any); c["type"] == condition {
			c["status"], c["reason"] = "False", reason
			return manifest
		}
	}
	t.Fatalf("release %s has no condition %s", name, condition)
	return nil
}

// offered are the actions that can be chosen, each of which has a script.
func offered(t *testing.T, manifest map[string]any) []string {
	t.Helper()
	actions := run(t, "actions/discovery.lua", manifest)
	var possible []string
	for _, action := range slices.Sorted(maps.Keys(actions)) {
		if at(actions, action, "disabled") == false {
			possible = append(possible, action)
		}
		if _, err := os.Stat(filepath.Join(scripts, "actions", action+".lua")); err != nil {
			t.Errorf("the action %s has no script: %v", action, err)
		}
	}
	return possible
}

func TestActions(t *testing.T) {
	const hold = "releases.nawhas.com/hold"
	for name, test := range map[string]struct {
		action, release string
		spec            map[string]any
		path            []string
		want            any
	}{
		"promote":                   {"promote", "awaiting-approval", nil, []string{"spec", "promotion", "approved"}, "3.2.0"},
		"abort":                     {"abort", "candidate", nil, []string{"spec", "abort"}, "3.2.0"},
		"abort what is live":        {"abort", "live", nil, []string{"spec", "abort"}, nil},
		"abort before any is live":  {"abort", "building", nil, []string{"spec", "abort"}, "3.1.2"},
		"hold":                      {"hold", "live", nil, []string{"metadata", "annotations", hold}, "3.1.2"},
		"retry one sent back":       {"retry", "sent-back", nil, []string{"spec", "retry"}, int64(1)},
		"retry again":               {"retry", "sent-back", map[string]any{"retry": int64(4)}, []string{"spec", "retry"}, int64(5)},
		"retry raises":              {"retry", "candidate", map[string]any{"abort": "3.2.0"}, []string{"spec", "retry"}, int64(1)},
		"retry takes abort away":    {"retry", "candidate", map[string]any{"abort": "3.2.0"}, []string{"spec", "abort"}, nil},
		"suspend":                   {"suspend", "live", nil, []string{"spec", "suspend"}, true},
		"suspend leaves the mode":   {"suspend", "live", nil, []string{"spec", "promotion", "mode"}, "Automatic"},
		"resume a held one":         {"resume", "held", nil, []string{"metadata", "annotations"}, nil},
		"resume a suspended one":    {"resume", "candidate", map[string]any{"suspend": true}, []string{"spec", "suspend"}, nil},
		"resume keeps what is held": {"resume", "held", map[string]any{"suspend": true}, []string{"metadata", "annotations", hold}, "3.1.2"},
		"resume leaves the mode":    {"resume", "awaiting-approval", map[string]any{"suspend": true}, []string{"spec", "promotion", "mode"}, "Manual"},
	} {
		t.Run(name, func(t *testing.T) {
			before := changed(t, test.release, test.spec)
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
