package support

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"dial postgres://nawhas:hunter2@db:5432/source failed":               "dial postgres://REDACTED@db:5432/source failed",
		"host=db user=nawhas password='hunter2 x' dbname=source":             "host=db user=nawhas password=REDACTED dbname=source",
		`{"level":"INFO","password":"hunter2","attempt":2}`:                  `{"level":"INFO","password":REDACTED,"attempt":2}`,
		"Authorization: Bearer abc.def":                                      "Authorization: Bearer REDACTED",
		`event 7 {"id":"x","attributes":{"name":"hunter2"}} next`:            `event 7 {"id":"x","attributes":REDACTED`,
		"payload: hunter2 {\n}\nnext line":                                   "payload: REDACTED\n}\nnext line",
		`ERROR: null value. Failing row contains (1, hunter2, (a)).`:         "ERROR: null value. Failing row contains (REDACTED).",
		"Key (slug)=(hunter2) already exists.":                               "Key (REDACTED) already exists.",
		"replaying 61 %, 58,200 events/s, the event at position 7 is poison": "replaying 61 %, 58,200 events/s, the event at position 7 is poison",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestRedactObject(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"annotations":   map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "kept": "yes"},
			"managedFields": []any{map[string]any{"manager": "x"}},
		},
		"data": map[string]any{"workloads": []any{map[string]any{"env": []any{map[string]any{"name": "PASS", "value": "hunter2"}}}}},
		"spec": map[string]any{
			"args": []any{"--url=postgres://a:hunter2@db/x"},
			"env": []any{
				map[string]any{"name": "API_KEY", "value": "hunter2"},
				map[string]any{"name": "NAWHAS_API_KEY", "value": "hunter2"},
				map[string]any{"name": "NAWHAS_VERSION", "value": "3.1.2"},
				map[string]any{"name": "FROM", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "s", "key": "url"}}},
			},
		},
	}}
	redactObject(object)
	encoded, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	text := string(encoded)
	for _, kept := range []string{`"3.1.2"`, `"kept":"yes"`, `"name":"s"`, `"API_KEY"`} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is gone", kept)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is left:\n%s", text)
	}
}

// What a release says, and what is kept of it, people wrote: also a variable that
// has the name of one of the operator's.
func TestRedactObjectOfPeople(t *testing.T) {
	for _, kind := range []string{"NawhasRelease", "ControllerRevision"} {
		object := &unstructured.Unstructured{Object: map[string]any{"kind": kind,
			"spec": map[string]any{"env": []any{map[string]any{"name": "NAWHAS_VERSION", "value": "hunter2"}}}}}
		redactObject(object)
		if encoded, err := json.Marshal(object.Object); err != nil || strings.Contains(string(encoded), "hunter2") {
			t.Errorf("a secret is left (%v):\n%s", err, encoded)
		}
	}
}
