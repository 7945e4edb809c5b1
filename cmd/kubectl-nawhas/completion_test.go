package main

import (
	"strings"
	"testing"
)

func TestVersionsAreCompleted(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	for _, line := range []string{"rollback nawhas --to ", "rollback --to ", "logs replay --version ", "plan --version "} {
		arguments := append([]string{"__complete", "--kubeconfig", kubeconfig, "-n", r.namespace}, strings.Split(line, " ")...)
		runWith(t.Context(), arguments...).expect(t, 0, "3.2.0\tLive\n", "3.1.2\tWarm\n")
	}
}
