package main

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestThePatchHoldsEveryScript(t *testing.T) {
	patch, err := patchOf("../../config/argocd")
	if err != nil {
		t.Fatal(err)
	}
	var written struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(patch), &written); err != nil {
		t.Fatal(err)
	}
	health, err := os.ReadFile("../../config/argocd/health.lua")
	if err != nil {
		t.Fatal(err)
	}
	if written.Data["resource.customizations.health."+kind] != string(health) {
		t.Error("the health check is another")
	}
	var offered actions
	if err := yaml.Unmarshal([]byte(written.Data["resource.customizations.actions."+kind]), &offered); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range offered.Definitions {
		names = append(names, d.Name)
		if !strings.Contains(offered.Discovery, `offer("`+d.Name+`"`) {
			t.Errorf("nothing says when %s is offered", d.Name)
		}
	}
	if got := strings.Join(names, " "); got != "abort hold promote resume retry suspend" {
		t.Errorf("the actions are %s", got)
	}
}

func TestAFolderWithoutScripts(t *testing.T) {
	if _, err := patchOf(t.TempDir()); err == nil {
		t.Error("it writes a patch of nothing")
	}
}
