// Command argocd writes a patch of Argo CD's ConfigMap argocd-cm that teaches
// it the health and the actions of NawhasReleases, from the Lua in config/argocd.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const kind = "releases.nawhas.com_NawhasRelease"

type definition struct {
	Name   string `json:"name"`
	Script string `json:"action.lua"`
}

type actions struct {
	Discovery   string       `json:"discovery.lua"`
	Definitions []definition `json:"definitions"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Usage: argocd FOLDER")
		os.Exit(2)
	}
	patch, err := patchOf(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
	fmt.Print(patch)
}

// patchOf makes the patch from a folder with health.lua and actions/*.lua.
func patchOf(folder string) (string, error) {
	health, err := os.ReadFile(filepath.Join(folder, "health.lua"))
	if err != nil {
		return "", fmt.Errorf("read the health check: %w", err)
	}
	offered, err := actionsIn(filepath.Join(folder, "actions"))
	if err != nil {
		return "", err
	}
	written, err := yaml.Marshal(offered)
	if err != nil {
		return "", fmt.Errorf("write the actions: %w", err)
	}
	patch, err := yaml.Marshal(map[string]any{"data": map[string]string{
		"resource.customizations.health." + kind:  string(health),
		"resource.customizations.actions." + kind: string(written),
	}})
	if err != nil {
		return "", fmt.Errorf("write the patch: %w", err)
	}
	return string(patch), nil
}

func actionsIn(folder string) (actions, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.lua"))
	if err != nil {
		return actions{}, fmt.Errorf("list the actions: %w", err)
	}
	slices.Sort(files)
	var found actions
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return actions{}, fmt.Errorf("read an action: %w", err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".lua")
		if name == "discovery" {
			found.Discovery = string(content)
			continue
		}
		found.Definitions = append(found.Definitions, definition{Name: name, Script: string(content)})
	}
	if found.Discovery == "" || len(found.Definitions) == 0 {
		return actions{}, fmt.Errorf("%s holds no discovery.lua or no action", folder)
	}
	return found, nil
}
