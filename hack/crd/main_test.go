package main

import (
	"strings"
	"testing"
)

const crd = `
spec:
  versions:
  - schema:
      openAPIV3Schema:
        description: kept
        properties:
          workloads:
            description: kept
            items:
              properties:
                template:
                  description: dropped
                  properties:
                    description: {description: dropped, type: string}
                    ports: {items: {description: dropped, type: object}}
                    labels: {additionalProperties: {description: dropped, type: string}}
`

func TestStripKeepsFieldsAndDropsTheirDescriptions(t *testing.T) {
	out, err := strip([]byte(crd), []string{"workloads", "template"})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(out); strings.Contains(text, "dropped") || strings.Count(text, "description: kept") != 2 {
		t.Fatalf("wrong descriptions:\n%s", text)
	}
	if !strings.Contains(string(out), "description:\n                      type: string") {
		t.Fatalf("the field named description is gone:\n%s", out)
	}
}

func TestStripRefusesAFieldThatIsNotThere(t *testing.T) {
	if _, err := strip([]byte(crd), []string{"workloads", "missing"}); err == nil {
		t.Fatal("no error")
	}
}
