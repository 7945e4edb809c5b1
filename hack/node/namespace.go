package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Addresses are the same in every checkout: each has a network of its own.
const (
	nodeAddress = "10.90.0.2"
	serviceCIDR = "10.96.0.0/16"
	apiService  = "10.96.0.1"
	podCIDR     = "10.244.0.0/16"
)

func (l layout) namespaceFile() string { return "/run/netns/" + l.namespace }

// makeNamespace makes the network: a pair of devices with both ends inside and
// routes to pods and Services only, so that a packet to anywhere else is
// refused at once instead of waiting for a time-out.
func makeNamespace(ctx context.Context, home layout) error {
	if _, err := os.Stat(home.namespaceFile()); err == nil {
		routes, err := output(ctx, "ip", "-n", home.namespace, "route", "show", serviceCIDR)
		if err == nil && routes != "" {
			return nil
		}
		// The making was cut short; nothing can have started in it.
		if err := removeNamespace(ctx, home); err != nil {
			return err
		}
	}
	if err := command(ctx, "ip", "netns", "add", home.namespace); err != nil {
		return fmt.Errorf("make the network namespace: %w", err)
	}
	for _, line := range []string{
		"link set lo up",
		"link add eth0 type veth peer name eth0-peer",
		"addr add " + nodeAddress + "/24 dev eth0",
		"link set eth0 up",
		"link set eth0-peer up",
		"route add " + serviceCIDR + " dev eth0",
	} {
		if err := command(ctx, "ip", append([]string{"-n", home.namespace}, strings.Fields(line)...)...); err != nil {
			return fmt.Errorf("set up the network namespace: %w", err)
		}
	}
	return nil
}

// enter moves this program into the namespace by starting it anew there: a
// thread of Go cannot take its siblings with it. `ip netns exec` would hide
// /sys/fs/cgroup from kubelet and runc.
func enter(home layout) error {
	inside, err := isInside(home)
	if err != nil || inside {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the place of this program: %w", err)
	}
	return become(home, self, os.Args)
}

func isInside(home layout) (bool, error) {
	var own, wanted unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return false, fmt.Errorf("look at the network namespace: %w", err)
	}
	if err := unix.Stat(home.namespaceFile(), &wanted); err != nil {
		return false, fmt.Errorf("look at the network namespace: %w", err)
	}
	return own.Ino == wanted.Ino && own.Dev == wanted.Dev, nil
}

// become replaces this program by another one inside the namespace.
func become(home layout, path string, argv []string) error {
	runtime.LockOSThread()
	file, err := os.Open(home.namespaceFile())
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close the network namespace: %w", err)
	}
	return fmt.Errorf("run %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}

// execInside is the command exec.
func execInside(home layout, argv []string) error {
	if len(argv) == 0 {
		return errors.New("exec needs a program to run")
	}
	if err := needRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(home.namespaceFile()); err != nil {
		return errors.New("the node is not up: run `make cluster-up`")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	return become(home, path, argv)
}

func command(ctx context.Context, name string, args ...string) error {
	_, err := output(ctx, name, args...)
	return err
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
