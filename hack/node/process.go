package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	startTimeout = 2 * time.Minute
	stopTimeout  = 15 * time.Second
)

// process is one program of the node, known by its pid file.
type process struct {
	home    layout
	name    string
	argv    []string
	account *syscall.Credential // nil: root
}

// start runs the program detached, with its output in a log file, unless it
// runs already.
func (p process) start() error {
	if p.pid() != 0 {
		return nil
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.account}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() { _ = cmd.Wait() }() // so that one which dies at once is seen as gone
	identity := strconv.Itoa(cmd.Process.Pid) + " " + startTime(cmd.Process.Pid)
	if err := os.WriteFile(p.pidFile(), []byte(identity), 0o600); err != nil {
		return fmt.Errorf("write the pid of %s: %w", p.name, err)
	}
	return nil
}

// pid is the program's process, or 0 when it does not run. The start time is
// compared, so that a number which was given to someone else is not taken.
func (p process) pid() int {
	content, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0
	}
	number, started, _ := strings.Cut(string(content), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || started == "" || startTime(pid) != started {
		return 0
	}
	return pid
}

// stop ends the program, by force when it does not listen.
func (p process) stop(signal syscall.Signal) error {
	pid := p.pid()
	if pid == 0 {
		return nil
	}
	for _, s := range []syscall.Signal{signal, syscall.SIGKILL} {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
		for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(pollInterval) {
			if p.pid() == 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("stop %s: process %d does not end", p.name, pid)
}

// ready waits until check passes, and gives up early when the program has
// ended, with the end of its log.
func (p process) ready(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if p.pid() == 0 {
			return fmt.Errorf("%s ended; the end of %s:\n%s", p.name, p.logFile(), p.logTail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w; the end of %s:\n%s", p.name, startTimeout, err, p.logFile(), p.logTail())
		case <-time.After(pollInterval):
		}
	}
}

func (p process) pidFile() string { return p.home.path("pid", p.name) }
func (p process) logFile() string { return p.home.path("log", p.name+".log") }

func (p process) logTail() string {
	content, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// startTime is field 22 of /proc/PID/stat; together with the pid it names one
// process for good. A zombie counts as gone.
func startTime(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, found := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}
