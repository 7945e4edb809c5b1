package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// Size of the terminal, as people have it.
const (
	columns = 80
	rows    = 14
)

const typed = "$ kubectl nawhas status -w"

// terminal is one that asciinema records.
type terminal struct {
	recorder *exec.Cmd
	pid      string // the file in which the command says what to end
}

// startTerminal has a terminal show the release as it changes.
func (r *recording) startTerminal(ctx context.Context) (*terminal, error) {
	t := &terminal{pid: filepath.Join(os.TempDir(), fmt.Sprintf("nawhas-recording-%d", os.Getpid()))}
	command := fmt.Sprintf("echo $$ > %s; printf '%%s\\r\\n' '%s'; exec bin/kubectl-nawhas status %s -w -n %s", t.pid, typed, name, namespace)
	t.recorder = exec.CommandContext(ctx, "asciinema", "rec", "--overwrite", "--quiet", "--cols", strconv.Itoa(columns), "--rows", strconv.Itoa(rows),
		"--title", "kubectl nawhas status -w, from one version to the next", "--env", "TERM", "--command", command, filepath.Join(r.folder, castFile))
	t.recorder.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=")
	t.recorder.Stdout, t.recorder.Stderr = os.Stdout, os.Stderr
	if err := t.recorder.Start(); err != nil {
		return nil, fmt.Errorf("start asciinema: %w", err)
	}
	err := cluster.Until(ctx, look, func() (bool, error) {
		content, err := os.ReadFile(t.pid)
		return err == nil && len(content) > 0, nil //nolint:nilerr // it is tried again
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the recording to begin: %w", err), t.recorder.Wait())
	}
	return t, nil
}

// stop ends the command that is recorded as ctrl-C does, and the recording with it.
func (t *terminal) stop() error {
	content, err := os.ReadFile(t.pid)
	if err != nil {
		return fmt.Errorf("end the recording: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("end the recording: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("end the recording: %w", err)
	}
	if err := t.recorder.Wait(); err != nil {
		return fmt.Errorf("asciinema: %w", err)
	}
	return os.Remove(t.pid)
}
