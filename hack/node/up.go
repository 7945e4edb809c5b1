package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

func (l layout) kubeconfig() string { return l.path("kubeconfig") }

// up is the command up. Every step leaves alone what is there already, so
// that it also repairs a node of which one program has died.
func up(ctx context.Context, home layout) error {
	if err := needRoot(); err != nil {
		return err
	}
	if err := installPackages(ctx); err != nil {
		return err
	}
	if err := reclaim(ctx, home); err != nil {
		return err
	}
	if err := home.prepare(); err != nil {
		return err
	}
	if err := makeNamespace(ctx, home); err != nil {
		return err
	}
	if err := enter(home); err != nil {
		return err
	}
	started := time.Now()
	if healthy(ctx, home) == nil {
		fmt.Println("the node is up")
		return nil
	}
	fmt.Println("starting the node: control plane, containerd, kubelet, kube-proxy and Postgres")
	if err := startAll(ctx, home); err != nil {
		return err
	}
	fmt.Printf("the node is up after %.1f s\n", time.Since(started).Seconds())
	return nil
}

func startAll(ctx context.Context, home layout) error {
	if err := makePKI(home); err != nil {
		return err
	}
	if err := os.MkdirAll(home.path("etcd"), 0o700); err != nil {
		return fmt.Errorf("make the folder of etcd: %w", err)
	}
	admin, err := os.ReadFile(home.path("pki", "admin.kubeconfig"))
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	if err := home.write("kubeconfig", string(admin)); err != nil {
		return err
	}
	for _, step := range []func(context.Context, layout) error{
		startPostgres, startContainerd, loadPause, startControlPlane,
		func(_ context.Context, home layout) error { return startKubelet(home) },
		func(_ context.Context, home layout) error { return kubeProxy(home).start() },
		waitForNode,
	} {
		if err := step(ctx, home); err != nil {
			return err
		}
	}
	return nil
}

// all lists the programs in the order in which they stop.
func all(home layout) []process {
	return []process{
		kubelet(home), kubeProxy(home), scheduler(home), controllerManager(home),
		{home: home, name: "containerd"}, apiserver(home), etcd(home), postgres(home),
	}
}

// healthy says what is wrong with the node, or nil.
func healthy(ctx context.Context, home layout) error {
	for _, p := range all(home) {
		if p.pid() == 0 {
			return fmt.Errorf("%s does not run", p.name)
		}
	}
	if err := psql(ctx, "SELECT 1"); err != nil {
		return err
	}
	out, err := kubectl(ctx, home, "get", "node", nodeName, "--no-headers")
	if err != nil {
		return err
	}
	if !strings.Contains(out, " Ready ") {
		return fmt.Errorf("the node is not Ready: %s", strings.TrimSpace(out))
	}
	return nil
}

// status is the command status.
func status(ctx context.Context, home layout) error {
	if _, err := os.Stat(home.namespaceFile()); err != nil {
		fmt.Println("the node is down")
		return nil
	}
	if err := needRoot(); err != nil {
		return err
	}
	if err := enter(home); err != nil {
		return err
	}
	for _, p := range all(home) {
		if pid := p.pid(); pid != 0 {
			fmt.Printf("%-24s runs, process %d\n", p.name, pid)
		} else {
			fmt.Printf("%-24s does not run, log %s\n", p.name, p.logFile())
		}
	}
	if err := healthy(ctx, home); err != nil {
		return err
	}
	fmt.Println("the node is up")
	return nil
}

// printEnv is the command env. The addresses work inside the node's network:
// from pods and from what `node exec` runs.
func printEnv(home layout) error {
	a, err := readAccounts(home)
	if err != nil {
		return fmt.Errorf("%w; is the node up?", err)
	}
	for _, line := range [][2]string{
		{"KUBECONFIG", home.kubeconfig()},
		{"NAWHAS_SOURCE_URL", a.sourceURL()},
		{"NAWHAS_DATABASES_URL", a.databasesURL()},
		{"NAWHAS_AUDIT_URL", superuserURL()},
		{"NAWHAS_NODE_VOLUMES", home.path("volumes")},
	} {
		fmt.Printf("export %s='%s'\n", line[0], line[1])
	}
	return nil
}
