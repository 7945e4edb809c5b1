//go:build platform

package installed_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSchemas writes a JSON schema for each kind of the server's OpenAPI, with
// its definitions beside it.
func writeSchemas(t *testing.T, folder string) {
	t.Helper()
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal([]byte(must(t, kubectl(t, "get", "--raw", "/openapi/v2"))), &document); err != nil {
		t.Fatal(err)
	}
	for _, definition := range document.Definitions {
		closeObject(definition)
		if definition["format"] == "int-or-string" {
			delete(definition, "type")
		}
	}
	for name, definition := range document.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue
		}
		kind, _ := kinds[0].(map[string]any)
		schema, err := json.Marshal(map[string]any{"$ref": "#/definitions/" + name, "definitions": document.Definitions})
		if err != nil {
			t.Fatal(err)
		}
		group, _, _ := strings.Cut(fmt.Sprint(kind["group"]), ".")
		file := strings.ToLower(strings.ReplaceAll(fmt.Sprintf("%v-%s-%v.json", kind["kind"], group, kind["version"]), "--", "-"))
		if !wanted(file) {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, file), schema, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// closeObject refuses fields that a definition does not have.
func closeObject(definition map[string]any) {
	if _, open := definition["additionalProperties"]; !open && definition["properties"] != nil {
		definition["additionalProperties"] = false
	}
}

// wanted leaves kinds out that are never installed: each file holds all definitions.
func wanted(file string) bool {
	for _, kind := range []string{"namespace-", "deployment-apps", "service-", "serviceaccount-", "role-rbac", "rolebinding-rbac", "clusterrole-rbac",
		"clusterrolebinding-rbac", "networkpolicy-", "poddisruptionbudget-"} {
		if strings.HasPrefix(file, kind) {
			return true
		}
	}
	return false
}
