package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// program is a part of Kubernetes that is built from its Go module. The time
// is what a first build takes on two cores; the order puts what shares most
// code with the rest first.
type program struct {
	name, pkg, module string
	first             time.Duration
}

var programs = []program{
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes", 90 * time.Second},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes", 4 * time.Minute},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "k8s.io/kubernetes", 2 * time.Minute},
	{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", "k8s.io/kubernetes", 15 * time.Second},
	{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", "k8s.io/kubernetes", 15 * time.Second},
	{"kubelet", "k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes", 30 * time.Second},
	{"etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 15 * time.Second},
}

// buildPrograms is the command programs. It builds from the Go module proxy,
// because that is reachable where download pages are not, and leaves alone
// what has the wanted version already.
func buildPrograms(ctx context.Context, home layout) error {
	source := filepath.Join(home.checkout, "hack", "node")
	versions := map[string]string{}
	for i, p := range programs {
		if versions[p.module] == "" {
			version, err := output(ctx, "go", "-C", source, "list", "-m", "-f", "{{.Version}}", p.module)
			if err != nil {
				return fmt.Errorf("find the version of %s: %w", p.module, err)
			}
			versions[p.module] = strings.TrimSpace(version)
		}
		version := versions[p.module]
		stamp := home.program("." + p.name + "-" + version)
		if _, err := os.Stat(stamp); err == nil {
			continue
		}
		fmt.Printf("building %s %s (%d of %d), the first time about %s\n", p.name, version, i+1, len(programs), p.first)
		if err := p.build(ctx, source, home.program(p.name), version); err != nil {
			return err
		}
		if err := os.WriteFile(stamp, nil, 0o600); err != nil {
			return fmt.Errorf("remember that %s is built: %w", p.name, err)
		}
	}
	return nil
}

// build stamps the version, because the node would report v0.0.0-master.
func (p program) build(ctx context.Context, source, target, version string) error {
	flags := "-s -w -X k8s.io/component-base/version.gitVersion=" + version
	err := command(ctx, "env", "CGO_ENABLED=0", "go", "-C", source, "build", "-trimpath", "-ldflags", flags, "-o", target, p.pkg)
	if err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	return nil
}
