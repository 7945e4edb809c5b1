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
                  description: kept
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
	if text := string(out); strings.Contains(text, "dropped") || strings.Count(text, "description: kept") != 3 {
		t.Fatalf("wrong descriptions:\n%s", text)
	}
	if !strings.Contains(string(out), "description:\n                      type: string") {
		t.Fatalf("the field named description is gone:\n%s", out)
	}
}

func TestNumbersThatGoCannotReadAreRefused(t *testing.T) {
	const unbounded = `
spec:
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          template:
            properties:
              port: {x-kubernetes-int-or-string: true}
              cpu:
                additionalProperties:
                  x-kubernetes-int-or-string: true
                  pattern: ^[0-9]+([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+)))?$
`
	out, err := strip([]byte(unbounded), []string{"template"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"maximum: 2147483647", "minimum: -2147483648", `pattern: ^[0-9]+([eE](\+|-)?[0-9]{1,2})?$`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}

func TestStripRefusesAFieldThatIsNotThere(t *testing.T) {
	if _, err := strip([]byte(crd), []string{"workloads", "missing"}); err == nil {
		t.Fatal("no error")
	}
}
