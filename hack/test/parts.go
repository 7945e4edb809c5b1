package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// modules are linted one by one: golangci-lint looks at one module at a time.
var modules = []string{".", "hack/bench", "hack/browser", "hack/node", "hack/operatorbench", "hack/platform", "hack/tools"}

func lint(ctx context.Context) outcome {
	var o outcome
	config, err := filepath.Abs(".golangci.yml")
	if err != nil {
		return outcome{failed: 1, err: err}
	}
	tool, err := filepath.Abs("bin/tools/golangci-lint")
	if err != nil {
		return outcome{failed: 1, err: err}
	}
	for _, module := range modules {
		o.count(show(ctx, module, tool, "run", "--allow-parallel-runners", "--config", config, "--timeout", "15m", "./..."))
	}
	scripts, err := filepath.Glob("hack/*.sh")
	if err != nil || len(scripts) == 0 {
		return o
	}
	if _, err := exec.LookPath("shellcheck"); err != nil {
		fmt.Println("shellcheck is not installed: the shell scripts were NOT CHECKED")
		o.skipped++
		return o
	}
	o.count(show(ctx, ".", "shellcheck", scripts...))
	return o
}

func (o *outcome) count(err error) {
	if err == nil {
		o.passed++
		return
	}
	o.failed++
	o.err = err
}

func (o *outcome) add(other outcome) {
	o.passed += other.passed
	o.failed += other.failed
	o.skipped += other.skipped
	o.err = errors.Join(o.err, other.err)
}

func unit(ctx context.Context) outcome {
	o := goTest(ctx, "unit", alone)
	for _, module := range []string{"bench", "node", "platform"} {
		o.add(gotestsum(ctx, "unit-"+module, "go", "-C", "hack/"+module, "test", "-json", "./..."))
	}
	return o
}

func integration(ctx context.Context) outcome { return goTest(ctx, "integration", withPostgres) }

func controllers(ctx context.Context) outcome { return goTest(ctx, "controllers", withKubernetes) }

// platform checks the ways to install the operator with tools that are not ours,
// on an API server of its own.
func platform(ctx context.Context) outcome {
	return gotestsum(ctx, "platform", "go", "-C", "hack/platform", "test", "-json", "-tags", "platform", "./...")
}

// crashes ends the operator before and after every one of its side effects.
func crashes(ctx context.Context) outcome {
	return gotestsum(ctx, "crashes", "env", "NAWHAS_CRASH=all", "go", "test", "-json", "-timeout", "20m", "-run", "TestAnOperatorThatEnds(AtAnyWrite|InARound)IsReplaced", "./controllers/release")
}

// faultTests kill parts of the node that all others need.
const faultTests = "^(TestFaults|TestAnOperatorKilledAtItsStagesIsReplaced)$"

func endToEnd(ctx context.Context) outcome {
	return onNode(ctx, "e2e", "e2e", "-test.skip="+faultTests)
}

func faults(ctx context.Context) outcome {
	return onNode(ctx, "faults", "e2e", "-test.run="+faultTests)
}

// monitoring has a real Prometheus watch a release.
func monitoring(ctx context.Context) outcome { return onNode(ctx, "monitoring", "monitoring") }

// argocd has a real Argo CD release versions.
func argocd(ctx context.Context) outcome { return onNode(ctx, "argocd", "argocd") }

// onNode runs tests of a folder of test/, which has its name as build tag, in the
// cluster's network.
func onNode(ctx context.Context, name, folder string, which ...string) outcome {
	if reason := noCluster(); reason != "" {
		return outcome{notRun: reason}
	}
	if err := show(ctx, ".", "hack/cluster.sh", "up"); err != nil {
		return outcome{failed: 1, err: fmt.Errorf("start the cluster: %w", err)}
	}
	if err := show(ctx, ".", "hack/cluster.sh", "load", "bin/images/nawhas.tar", "bin/images/nawhas-next.tar", "bin/images/nawhas-forgetful.tar",
		"bin/images/manager.tar"); err != nil {
		return outcome{failed: 1, err: fmt.Errorf("load the images: %w", err)}
	}
	binary := filepath.Join("bin", "test", name+".test")
	if err := show(ctx, ".", "go", "test", "-tags", folder, "-c", "-o", binary, "./test/"+folder); err != nil {
		return outcome{failed: 1, err: fmt.Errorf("build the tests: %w", err)}
	}
	// The binary, not go test, runs in the cluster's network, which has no way out.
	return gotestsum(ctx, name, append([]string{"hack/cluster.sh", "run", "go", "tool", "test2json", "-t", "-p", "test/" + folder,
		binary, "-test.v=test2json", "-test.timeout=60m", "-test.parallel=4"}, which...)...)
}

// noCluster says why this machine can run no cluster, or nothing.
func noCluster() string {
	if os.Geteuid() != 0 && os.Getenv("KUBECONFIG") == "" {
		if _, err := exec.LookPath("kind"); err != nil {
			return "needs root, a KUBECONFIG, or kind with Docker"
		}
	}
	return ""
}

// vulnerabilities asks a database on the network, so it is no part of what
// has to pass everywhere.
func vulnerabilities(ctx context.Context) outcome {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", "vuln.go.dev:443")
	if err != nil {
		return outcome{notRun: "the vulnerability database vuln.go.dev cannot be reached"}
	}
	_ = conn.Close()
	var o outcome
	o.count(show(ctx, ".", "bin/tools/govulncheck", "./..."))
	return o
}

// gotestsum runs a command that prints test2json events and counts its tests.
func gotestsum(ctx context.Context, name string, argv ...string) outcome {
	report := filepath.Join("bin", "test", name+".xml")
	_ = os.Remove(report)
	args := append([]string{"--format", "pkgname-and-test-fails", "--hide-summary=skipped", "--junitfile", report, "--raw-command", "--"}, argv...)
	err := show(ctx, ".", "bin/tools/gotestsum", args...)
	o, readErr := readReport(report)
	if err != nil && o.failed == 0 {
		o.failed = 1
		o.err = errors.Join(err, readErr)
	}
	return o
}

func readReport(path string) (outcome, error) {
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Skipped int `xml:"skipped,attr"`
		} `xml:"testsuite"`
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return outcome{}, fmt.Errorf("read the results: %w", err)
	}
	if err := xml.Unmarshal(content, &suites); err != nil {
		return outcome{}, fmt.Errorf("read the results: %w", err)
	}
	var o outcome
	for _, suite := range suites.Suites {
		o.skipped += suite.Skipped
	}
	o.failed = suites.Failures + suites.Errors
	o.passed = suites.Tests - o.failed - o.skipped
	return o, nil
}

// show runs a command with its output on the terminal.
func show(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// On an interrupt the tests get the time to clean up.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return nil
}
