package testbed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Usage is what a finished program took.
type Usage struct {
	Elapsed time.Duration
	// CPU is its own time on processors, without that of the server.
	CPU time.Duration
	// PeakRSS is the most memory it had at once, in bytes.
	PeakRSS int64
	Output  string
}

// Run runs a program to its end and measures it. Its environment is that of
// this process and what is added. The error repeats the program's own words.
func Run(ctx context.Context, environment []string, name string, args ...string) (Usage, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environment...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	started := time.Now()
	err := cmd.Run()
	usage := Usage{Elapsed: time.Since(started), Output: strings.TrimSpace(out.String())}
	if err != nil {
		return usage, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	usage.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if resources, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		usage.PeakRSS = resources.Maxrss * 1024 // Linux counts in KiB
	}
	return usage, nil
}
