package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWorkflowsCallTargetsThatExist reads the targets that workflows give to
// make, in commands and in the nightly list.
func TestWorkflowsCallTargetsThatExist(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../.github/workflows/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		targets := regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)`).FindAllStringSubmatch(string(content), -1)
		_, list, _ := strings.Cut(string(content), "\n        make:\n")
		list, _, _ = strings.Cut(list, "\n    steps:")
		targets = append(targets, regexp.MustCompile(`(?m)^ +- ([a-z][a-z0-9-]*)`).FindAllStringSubmatch(list, -1)...)
		if len(targets) == 0 {
			t.Errorf("%s calls no target", file)
		}
		for _, target := range targets {
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s calls make %s, which is not there", file, target[1])
			}
		}
	}
}
