package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to end when it is asked to.
const stopTimeout = 10 * time.Second

// Process is a program that runs beside the measurement.
type Process struct {
	cmd      *exec.Cmd
	problems strings.Builder
	started  time.Time
}

// Start starts a command of the program on a log and a version's database.
func (n Nawhas) Start(ctx context.Context, source, database string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, n.Path, args...), started: time.Now()}
	p.cmd.Env = append(os.Environ(), n.Environment(source, database)...)
	p.cmd.Stderr = &p.problems
	p.cmd.WaitDelay = stopTimeout
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s %s: %w", filepath.Base(n.Path), strings.Join(args, " "), err)
	}
	return p, nil
}

// Kill ends the process as a lost node would and returns how long it ran.
func (p *Process) Kill() time.Duration {
	_ = p.cmd.Process.Kill()
	ran := time.Since(p.started)
	_ = p.cmd.Wait()
	return ran
}

// Stop asks the process to end and waits until it has.
func (p *Process) Stop() error {
	timer := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Args[1], err, strings.TrimSpace(p.problems.String()))
	}
	return nil
}

// CPU is the time that the process has spent on processors.
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

// ticksPerSecond is the unit of times in /proc, fixed by Linux' interface.
const ticksPerSecond = 100

func cpuOf(pid int) (time.Duration, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read the times of process %d: %w", pid, err)
	}
	return parseCPU(string(content))
}

// parseCPU adds user and system time of a line of /proc/<pid>/stat.
func parseCPU(stat string) (time.Duration, error) {
	// The name before the last parenthesis may hold anything.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("read the times of a process from %q: fields are missing", stat)
	}
	var ticks int64
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the times of a process: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
