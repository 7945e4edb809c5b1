// Package node is what suites on a real cluster have in common: the cluster that
// hack/cluster.sh hands over, and rooms in it, each for one release.
package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const (
	// Patience is how long anything may take on a node that is busy.
	Patience = 4 * time.Minute
	look     = 100 * time.Millisecond
)

// Connect opens the cluster that the environment describes, for the repository
// that the working directory is in.
func Connect() (*cluster.Cluster, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	return cluster.Connect(root)
}

func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for ; folder != "/"; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "PROJECT")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("find the repository: none is above this folder")
}

// Kubectl runs kubectl, which must succeed, and returns what it prints.
func Kubectl(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// Until waits for something to be so, and ends the test when it does not come.
func Until(t *testing.T, what string, check func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := cluster.Until(ctx, look, func() (bool, error) { return check(ctx), nil }); err != nil {
		t.Fatalf("not %s after %s", what, Patience)
	}
}

// Cleanup has something done when the test is over, whatever became of it.
func Cleanup(t *testing.T, do func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Patience)
		defer cancel()
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	})
}
