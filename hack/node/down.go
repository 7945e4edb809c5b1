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
	if _, err := os.Stat(home.state); errors.Is(err, fs.ErrNotExist) {
		return removeNamespace(ctx, home)
	}
	if err := needRoot(); err != nil {
		return err
	}
	stopContainers := func() error { return endShims(ctx, home) }
	for _, p := range all(home) {
		signal := syscall.SIGTERM
		switch p.name {
		case "postgres":
			signal = syscall.SIGINT // ends its sessions instead of waiting for them
		case "containerd":
			if err := stopContainers(); err != nil {
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
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range processes {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !isShim(home, pid) {
			continue
		}
		for _, child := range children(pid) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end a container's shim: %w", err)
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
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", mount, err)
		}
	}
	return nil
}
