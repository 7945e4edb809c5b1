package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// reportEvery is how often a build that takes minutes says how far it is.
const reportEvery = 15 * time.Second

// program is a part of Kubernetes that is built from its Go module.
type program struct{ name, pkg string }

const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
)

// programs are built all at once: they share most of their code, and one build
// keeps every processor busy to the end.
var programs = []program{
	{"kubectl", kubernetesModule + "/cmd/kubectl"},
	{"kube-apiserver", kubernetesModule + "/cmd/kube-apiserver"},
	{"kube-controller-manager", kubernetesModule + "/cmd/kube-controller-manager"},
	{"kube-scheduler", kubernetesModule + "/cmd/kube-scheduler"},
	{"kube-proxy", kubernetesModule + "/cmd/kube-proxy"},
	{"kubelet", kubernetesModule + "/cmd/kubelet"},
	{"server", etcdModule}, // renamed below
}

// buildPrograms is the command programs. It builds from the Go module proxy,
// because that is reachable where download pages are not, and leaves alone
// what has the wanted versions already.
func buildPrograms(ctx context.Context, home layout) error {
	source := filepath.Join(home.checkout, "hack", "node")
	versions, err := output(ctx, "go", "-C", source, "list", "-m", "-f", "{{.Version}}", kubernetesModule, etcdModule)
	if err != nil {
		return fmt.Errorf("find the versions of Kubernetes and etcd: %w", err)
	}
	stamp := home.program(".built")
	if built, err := os.ReadFile(stamp); err == nil && string(built) == versions {
		return nil
	}
	version, _, _ := strings.Cut(versions, "\n")
	if err := os.MkdirAll(home.programs, 0o755); err != nil {
		return fmt.Errorf("make the folder of the programs: %w", err)
	}
	if err := build(ctx, source, home.programs, version); err != nil {
		return fmt.Errorf("build Kubernetes %s: %w", version, err)
	}
	if err := os.Rename(home.program("server"), home.program("etcd")); err != nil {
		return fmt.Errorf("name etcd: %w", err)
	}
	if err := os.WriteFile(stamp, []byte(versions), 0o600); err != nil {
		return fmt.Errorf("remember what is built: %w", err)
	}
	return nil
}

// build stamps the version, because the node would report v0.0.0-master.
func build(ctx context.Context, source, target, version string) error {
	args := []string{"-C", source, "build", "-v", "-trimpath", "-o", target + "/",
		"-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=" + version}
	var packages []string
	for _, p := range programs {
		packages = append(packages, p.pkg)
	}
	fmt.Printf("building Kubernetes %s and etcd; the first time it takes 10 to 20 minutes on two processors\n", version)
	dependencies, err := output(ctx, "go", append([]string{"-C", source, "list", "-deps"}, packages...)...)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	told := watch(stderr, strings.Count(dependencies, "\n"))
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w:\n%s", err, told)
	}
	return nil
}

// watch counts the packages that `go build -v` names, prints how many there
// are now and then, and returns the last lines, which hold what went wrong.
func watch(stderr io.Reader, total int) string {
	var tail []string
	started := time.Now()
	reported := started
	lines := bufio.NewScanner(stderr)
	for compiled := 1; lines.Scan(); compiled++ {
		tail = append(tail, lines.Text())
		tail = tail[max(0, len(tail)-20):]
		if time.Since(reported) > reportEvery {
			reported = time.Now()
			fmt.Printf("  %d of at most %d packages after %s\n", compiled, total, time.Since(started).Round(time.Second))
		}
	}
	return strings.Join(tail, "\n")
}
