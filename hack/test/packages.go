package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// kind says what the tests of a package need.
type kind int

const (
	alone          kind = iota // nothing
	withPostgres               // a Postgres of their own
	withKubernetes             // Kubernetes' client libraries, mostly with an API server of their own
)

// goTest runs the tests of the packages of a kind.
func goTest(ctx context.Context, name string, k kind) outcome {
	packages, err := packagesOf(ctx, k)
	if err != nil {
		return outcome{failed: 1, err: err}
	}
	if len(packages) == 0 {
		return outcome{}
	}
	command := []string{"env"}
	// Two packages at once: each starts servers of its own. More tests than
	// processors, because they wait for those servers.
	test := []string{"go", "test", "-json", "-p", "2", "-parallel", "4", "-timeout", "25m"}
	if race(k) {
		command = append(command, "CGO_ENABLED=1")
		test = append(test, "-race")
	}
	return gotestsum(ctx, name, append(append(command, test...), packages...)...)
}

// race says whether the race detector watches. It needs a C compiler. What is
// built on Kubernetes' libraries goes without unless it is asked for: compiling
// them a second time takes longer than all its tests.
func race(k kind) bool {
	if k == withKubernetes && os.Getenv("RACE") == "" {
		return false
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		fmt.Println("no C compiler: the tests run WITHOUT the race detector")
		return false
	}
	return true
}

// packagesOf lists the packages with tests of a kind.
func packagesOf(ctx context.Context, wanted kind) ([]string, error) {
	const format = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}} {{join .Deps " "}}{{end}}`
	out, err := exec.CommandContext(ctx, "go", "list", "-f", format, "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("list packages: %s", exit.Stderr)
		}
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var packages []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 0 && kindOf(fields[0], line) == wanted {
			packages = append(packages, fields[0])
		}
	}
	return packages, nil
}

func kindOf(path, imports string) kind {
	switch {
	case strings.Contains(imports, "sigs.k8s.io/controller-runtime"), strings.Contains(imports, "k8s.io/apimachinery"):
		return withKubernetes
	case strings.HasSuffix(path, "/pgtest"), strings.Contains(imports, "/internal/pgtest"):
		return withPostgres
	}
	return alone
}
