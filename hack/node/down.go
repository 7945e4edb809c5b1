package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// down is the command down. It ends only what this checkout's node started and
// removes only what it wrote; another checkout's node goes on.
func down(ctx context.Context, home layout) error {
	if _, err := os.Stat(home.namespaceFile()); err == nil {
		if err := needRoot(); err != nil {
			return err
		}
	}
	if err := reclaim(ctx, home); err != nil {
		return err
	}
	if _, err := os.Stat(home.state); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, p := range all(home) {
		signal := syscall.SIGTERM
		switch p.name {
		case "postgres":
			signal = syscall.SIGINT // ends its sessions instead of waiting for them
		case "containerd":
			if err := endShims(ctx, home); err != nil {
				return err
			}
		}
		if err := p.stop(signal); err != nil {
			return err
		}
	}
	if err := unmountBelow(home.state); err != nil {
		return err
	}
	if err := removeNamespace(ctx, home); err != nil {
		return err
	}
	near, far := dataFolders(home)
	for _, folder := range []string{home.state, home.link, near, far} {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove %s: %w", folder, err)
		}
	}
	fmt.Println("the node is down and its data is gone")
	return nil
}

// reclaim ends what an earlier node of this checkout left behind when its
// folder was deleted without `down`, as happens to the checkouts of a CI. What
// runs in the checkout's network namespace can be nothing else.
func reclaim(ctx context.Context, home layout) error {
	if _, err := os.Stat(home.path("pid")); err == nil {
		return nil
	}
	namespace, err := os.Stat(home.namespaceFile())
	if err != nil {
		return nil
	}
	fmt.Println("ending what an earlier node of this checkout left behind")
	err = eachProcess(func(pid int) error {
		own, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || !os.SameFile(namespace, own) {
			return nil
		}
		return kill(pid)
	})
	if err != nil {
		return err
	}
	return removeNamespace(ctx, home)
}

func removeNamespace(ctx context.Context, home layout) error {
	if _, err := os.Stat(home.namespaceFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := command(ctx, "ip", "netns", "delete", home.namespace); err != nil {
		return fmt.Errorf("remove the network namespace: %w", err)
	}
	return nil
}

// endShims kills the containers. Their shims outlive containerd, and each is
// known by the socket of the containerd that started it. The processes of a
// container are found as the descendants of its shim.
func endShims(ctx context.Context, home layout) error {
	if running, err := ctr(ctx, home, "tasks", "ls", "-q"); err == nil {
		for _, task := range strings.Fields(running) {
			_, _ = ctr(ctx, home, "tasks", "delete", "--force", task) // what stays is killed below
		}
	}
	return eachProcess(func(pid int) error {
		if !isShim(home, pid) {
			return nil
		}
		return kill(pid)
	})
}

func eachProcess(do func(pid int) error) error {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range processes {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if err := do(pid); err != nil {
			return err
		}
	}
	return nil
}

// kill ends a process and its children: a container's processes, when it is
// the container's shim.
func kill(pid int) error {
	for _, victim := range append(children(pid), pid) {
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", victim, err)
		}
	}
	return nil
}

func isShim(home layout, pid int) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	argv := bytes.Split(content, []byte{0})
	return strings.HasPrefix(filepath.Base(string(argv[0])), "containerd-shim") &&
		slices.ContainsFunc(argv, func(arg []byte) bool { return string(arg) == home.containerdSocket() })
}

func children(pid int) []int {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(content)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// unmountBelow detaches what containers and volumes have left, deepest first.
func unmountBelow(folder string) error {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	var mounts []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			mounts = append(mounts, fields[4])
		}
	}
	slices.SortFunc(mounts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, mount := range mounts {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", mount, err)
		}
	}
	return nil
}
