// Command test runs all that `make test` promises, part by part, and prints
// one line for each: lint, unit, integration (packages whose tests start a
// Postgres), controllers (an API server too) and e2e (on a Kubernetes node).
//
// A part that cannot run on this machine is not passed over in silence: its
// line says NOT RUN and why.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// outcome is what one part came to.
type outcome struct {
	passed, failed, skipped int
	notRun                  string
	err                     error
}

type part struct {
	name string
	run  func(context.Context) outcome
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	wanted := os.Args[1:]
	if len(wanted) == 0 {
		wanted = []string{"lint", "vulnerabilities", "unit", "integration", "controllers", "e2e"}
	}
	failed, err := runParts(ctx, wanted)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

func runParts(ctx context.Context, wanted []string) (bool, error) {
	root, err := os.Getwd()
	if err != nil {
		return false, fmt.Errorf("find the repository: %w", err)
	}
	if err := os.MkdirAll("bin/test", 0o750); err != nil {
		return false, fmt.Errorf("make the folder of results: %w", err)
	}
	if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin", "kubernetes")); err != nil {
		return false, fmt.Errorf("name the programs of the test API server: %w", err)
	}
	available := map[string]part{
		"lint": {"lint", lint}, "unit": {"unit", unit}, "integration": {"integration", integration},
		"controllers": {"controllers", controllers}, "e2e": {"e2e", endToEnd}, "vulnerabilities": {"vulnerabilities", vulnerabilities},
		"platform": {"platform", platform}, "crashes": {"crashes", crashes}, "faults": {"faults", faults},
		"monitoring": {"monitoring", monitoring}, "argocd": {"argocd", argocd},
	}
	var total outcome
	var lines []string
	for _, name := range wanted {
		p, known := available[name]
		if !known {
			return false, fmt.Errorf("no part is called %s", name)
		}
		started := time.Now()
		result := p.run(ctx)
		lines = append(lines, describe(p.name, result, time.Since(started)))
		fmt.Println(lines[len(lines)-1])
		total.passed += result.passed
		total.failed += result.failed
		total.skipped += result.skipped
	}
	fmt.Printf("\n%s\n\n%s\n", strings.Join(lines, "\n"), totals(total))
	return total.failed > 0, nil
}

func describe(name string, o outcome, took time.Duration) string {
	seconds := fmt.Sprintf("%6.1f s", took.Seconds())
	switch {
	case o.notRun != "":
		return fmt.Sprintf("%-16s NOT RUN  %s  %s", name, seconds, o.notRun)
	case o.failed > 0 && o.err != nil:
		return fmt.Sprintf("%-16s FAILED   %s  %s (%v)", name, seconds, totals(o), o.err)
	case o.failed > 0:
		return fmt.Sprintf("%-16s FAILED   %s  %s", name, seconds, totals(o))
	default:
		return fmt.Sprintf("%-16s ok       %s  %s", name, seconds, totals(o))
	}
}

func totals(o outcome) string {
	text := fmt.Sprintf("%d passed, %d failed", o.passed, o.failed)
	if o.skipped > 0 {
		text += fmt.Sprintf(", %d skipped", o.skipped)
	}
	return text
}
