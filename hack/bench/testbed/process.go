package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
func (p *Process) CPU() (time.Duration, error) {
	spent, err := timesOf(p.cmd.Process.Pid)
	return spent.own, err
}
