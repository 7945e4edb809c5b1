package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nawhas/nawhas-operator/test/chaos/pgproxy"
)

// ownerOf finds the operator that a connection to Postgres belongs to: for a
// while there may be two.
func (w *world) ownerOf(client net.Addr) pgproxy.Owner {
	port := client.(*net.TCPAddr).Port
	for range 20 {
		operators := w.running()
		socket := socketOf(port)
		for _, o := range operators {
			if socket != "" && holds(o.pid(), socket) {
				return o
			}
		}
		// The kernel's list may leave one out while others come and go.
		time.Sleep(10 * time.Millisecond)
	}
	if operators := w.running(); len(operators) == 1 {
		return operators[0]
	}
	return passerby{}
}

// passerby is a process that ended before it was looked for.
type passerby struct{}

func (passerby) Program() string { return "nobody" }
func (passerby) End()            {}
func (passerby) Stall()          {}

// socketOf is what a process' open files call the socket of a local port.
func socketOf(port int) string {
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	local := fmt.Sprintf("0100007F:%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == local {
			return "socket:[" + fields[9] + "]"
		}
	}
	return ""
}

func holds(pid int, socket string) bool {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		return false
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == socket {
			return true
		}
	}
	return false
}
