package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// times is what /proc/<pid>/stat tells of a process.
type times struct {
	parent int
	// own is its time on processors, and ended that of its children that have ended.
	own, ended time.Duration
}

// ticksPerSecond is the unit of times in /proc, fixed by Linux' interface.
const ticksPerSecond = 100

func timesOf(pid int) (times, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return times{}, fmt.Errorf("read the times of process %d: %w", pid, err)
	}
	return parseTimes(string(content))
}

func parseTimes(stat string) (times, error) {
	// The name before the last parenthesis may hold anything.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const parent, user, endedSystem = 1, 11, 14
	if len(fields) <= endedSystem {
		return times{}, fmt.Errorf("read the times of a process from %q: fields are missing", stat)
	}
	var numbers [endedSystem + 1]int64
	for _, at := range []int{parent, user, user + 1, user + 2, endedSystem} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return times{}, fmt.Errorf("read the times of a process: %w", err)
		}
		numbers[at] = n
	}
	ticks := func(n int64) time.Duration { return time.Duration(n) * time.Second / ticksPerSecond }
	return times{int(numbers[parent]), ticks(numbers[user] + numbers[user+1]), ticks(numbers[user+2] + numbers[endedSystem])}, nil
}

// CPU is the time that the whole server has spent on processors so far, with
// sessions that have ended.
func (s *Server) CPU(ctx context.Context) (time.Duration, error) {
	var session int
	if err := s.admin.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&session); err != nil {
		return 0, fmt.Errorf("find the server's processes: %w", err)
	}
	own, err := timesOf(session)
	if err != nil {
		return 0, err
	}
	postmaster, err := timesOf(own.parent)
	if err != nil {
		return 0, err
	}
	spent := postmaster.own + postmaster.ended
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, fmt.Errorf("list the processes: %w", err)
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		// A process that has ended meanwhile is counted with the postmaster's next time.
		if child, err := timesOf(pid); err == nil && child.parent == own.parent {
			spent += child.own
		}
	}
	return spent, nil
}
