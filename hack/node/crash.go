package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// containerScheme begins the id of a container as Kubernetes tells it.
const containerScheme = "containerd://"

// crash is the command kill: programs of the node, or containers, end without a
// word, as in a crash, and with all their processes, as in a power cut. The
// kubelet starts containers again; programs stay away until `start`.
func crash(ctx context.Context, home layout, names []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	for _, name := range names {
		if id, found := strings.CutPrefix(name, containerScheme); found {
			if _, err := ctr(ctx, home, "tasks", "kill", "--signal", "SIGKILL", id); err != nil {
				return fmt.Errorf("kill container %s: %w", id, err)
			}
			continue
		}
		p, err := named(home, name)
		if err != nil {
			return err
		}
		if err := p.kill(); err != nil {
			return err
		}
	}
	return nil
}

// startAgain is the command start: programs that were killed come back. It
// returns when those that others wait for answer.
func startAgain(ctx context.Context, home layout, names []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	if err := enter(home); err != nil {
		return err
	}
	for _, name := range names {
		p, err := named(home, name)
		if err != nil {
			return err
		}
		start := func(context.Context, layout) error { return p.start() }
		switch name {
		case "postgres":
			start = startPostgres
		case "containerd":
			start = startContainerd
		case "etcd":
			start = startEtcd
		case "kube-apiserver":
			start = startAPIServer
		}
		if err := start(ctx, home); err != nil {
			return err
		}
	}
	return nil
}

// named is one of the node's programs.
func named(home layout, name string) (process, error) {
	programs := all(home)
	found := slices.IndexFunc(programs, func(p process) bool { return p.name == name })
	if found < 0 {
		var known []string
		for _, p := range programs {
			known = append(known, p.name)
		}
		return process{}, fmt.Errorf("no program of the node is called %q; there are %s", name, strings.Join(known, ", "))
	}
	return programs[found], nil
}

// kill ends the program and what it has started at once. It is stopped first, so
// that it starts nothing in the place of a child that is gone: a server of
// Postgres would.
func (p process) kill() error {
	pid := p.pid()
	if pid == 0 {
		return fmt.Errorf("kill %s: it does not run", p.name)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	victims := append(children(pid), pid)
	if err := kill(pid); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(pollInterval / 10) {
		if !slices.ContainsFunc(victims, func(pid int) bool { return startTime(pid) != "" }) {
			return nil
		}
	}
	return fmt.Errorf("kill %s: its processes %v do not end", p.name, victims)
}
