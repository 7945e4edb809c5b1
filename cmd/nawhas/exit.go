package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// Exit codes tell the operator what kind of failure it has to do with.
const (
	exitFailed       = 1
	exitUsage        = 2
	exitPoison       = 3
	exitVerification = 4
)

// terminationLimit is what Kubernetes keeps of a container's message.
const terminationLimit = 4096

// usageError is a command line or an environment that cannot work.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }
func (e *usageError) Unwrap() error { return e.cause }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// report tells a person and the pod's status why the command failed, and
// returns the exit code.
func report(ctx context.Context, out io.Writer, err error) int {
	message := reason(ctx, err)
	_, _ = fmt.Fprintln(out, "nawhas: "+message)
	leaveMessage(message)
	return exitCode(err)
}

func exitCode(err error) int {
	var poison *projection.Poison
	var failed *verify.FailedError
	var wrong *usageError
	switch {
	case errors.As(err, &poison):
		return exitPoison
	case errors.As(err, &failed):
		return exitVerification
	case errors.As(err, &wrong):
		return exitUsage
	}
	return exitFailed
}

func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return "stopped before it was done; run it again to go on from its checkpoint"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// leaveMessage writes the reason where Kubernetes looks for it. By hand there
// is no such file, and that is no error.
func leaveMessage(message string) {
	path := os.Getenv("NAWHAS_TERMINATION_LOG")
	if path == "" {
		path = "/dev/termination-log"
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if len(message) > terminationLimit {
		message = strings.ToValidUTF8(message[:terminationLimit], "")
	}
	_, _ = file.WriteString(message)
}
