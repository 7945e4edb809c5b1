package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ended tells whether a child of ours is a zombie, without reaping it.
func ended(pid int) bool {
	state, _ := stat(strconv.Itoa(pid))
	return state == "Z"
}

// children are the processes that the process started. They are found where
// there is a /proc.
func children(parent int) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, ppid := stat(entry.Name()); ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat reads the state and the parent of a process.
func stat(pid string) (string, int) {
	data, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return "", 0
	}
	// The name before the last parenthesis may hold anything.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return fields[0], parent
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32)
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("find an account for Postgres, which refuses to run as root: neither postgres nor nobody exists")
}

func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// Behind a link are the other programs too.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("find Postgres: no initdb in PATH or /usr/lib/postgresql; install it with `apt-get install postgresql`")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
	return filepath.Dir(newest), nil
}

func majorVersion(path string) int {
	version, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return version
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
