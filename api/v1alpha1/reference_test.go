package v1alpha1_test

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// embedded are the fields whose schema is Kubernetes' own: the reference links
// to it.
var embedded = map[string]bool{
	"template": true, "metrics": true, "behavior": true, "metadata": true, "conditions": true, "limits": true, "requests": true, "env": true, "envFrom": true,
}

// TestTheReferenceIsFresh goes by the definition: each of its fields has its row
// in docs/api.md, with the words that kubectl explain has.
func TestTheReferenceIsFresh(t *testing.T) {
	content, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(line, "|")
		if len(cells) > 3 && strings.HasPrefix(cells[1], " `") {
			rows[strings.Trim(cells[1], " `")] += line
		}
	}
	definition, err := os.ReadFile(definitions + "/releases.nawhas.com_nawhasreleases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(definition, &crd); err != nil {
		t.Fatal(err)
	}
	root, _ := crd.Spec.Versions[0].Schema.OpenAPIV3Schema["properties"].(map[string]any)
	fields := 0
	for _, part := range []string{"spec", "status"} {
		schema, _ := root[part].(map[string]any)
		fields += compareReference(t, part, schema, rows)
	}
	if fields < 100 {
		t.Errorf("only %d fields were compared", fields)
	}
}

func compareReference(t *testing.T, path string, schema map[string]any, rows map[string]string) (fields int) {
	if items, isList := schema["items"].(map[string]any); isList {
		schema = items
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		property, _ := property.(map[string]any)
		at := path + "." + name
		said, _ := property["description"].(string)
		switch said = plain(said); {
		case said == "":
			t.Errorf("%s has no description: kubectl explain says nothing of it", at)
		case !strings.Contains(plain(rows[name]), said):
			t.Errorf("docs/api.md does not say of %s: %q; run make generate", at, said)
		}
		fields++
		if !embedded[name] {
			fields += compareReference(t, at, property, rows)
		}
	}
	return fields
}

// plain takes away what the two renderings of a text differ in.
func plain(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("\\", "", "`", "").Replace(text)), " ")
}
