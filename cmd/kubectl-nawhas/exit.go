package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

// Exit codes, for scripts.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitTimedOut = 3
	exitUnread   = 4
)

// usageError is a command line that cannot work.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }
func (e *usageError) Unwrap() error { return e.cause }

// errTimedOut is a wait that took longer than it may.
var errTimedOut = errors.New("timed out")

// report tells a person what went wrong and returns the exit code.
func report(ctx context.Context, out io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		_, _ = fmt.Fprintln(out, "interrupted")
		return exitFailed
	}
	err = releases.Explain(err)
	_, _ = fmt.Fprintln(out, "error: "+err.Error())
	return exitCode(err)
}

func exitCode(err error) int {
	problem, known := errors.AsType[*releases.Problem](err)
	_, usage := errors.AsType[*usageError](err)
	switch {
	case errors.Is(err, errTimedOut):
		return exitTimedOut
	case usage, known && problem.Usage:
		return exitUsage
	case known && problem.Unread:
		return exitUnread
	}
	return exitFailed
}
