package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// trail is the way to an error.
type trail struct {
	// steps are what the model prints on the way.
	steps []string
	// claim is what does not hold at its end: the comment beside the assertion.
	claim string
}

// explain tells what happens on the way to an error.
func (c *checker) explain(ctx context.Context, checks []check, name string) error {
	for _, wanted := range checks {
		if !strings.EqualFold(wanted.name, name) {
			continue
		}
		if err := os.Remove(filepath.Join(c.folder, wanted.name+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget the earlier result: %w", err)
		}
		found, err := c.check(ctx, wanted)
		if err != nil {
			return err
		}
		fmt.Println(found)
		if found.Violation == "" {
			return nil
		}
		told, err := c.follow(ctx, wanted)
		if err != nil {
			return err
		}
		for _, step := range told.steps {
			fmt.Println("  " + step)
		}
		return nil
	}
	return fmt.Errorf("no model or mutant is called %s", name)
}

// follow runs the model along the way that the search left.
func (c *checker) follow(ctx context.Context, wanted check) (trail, error) {
	model, err := filepath.Abs(wanted.file)
	if err != nil {
		return trail{}, fmt.Errorf("find the model: %w", err)
	}
	left := filepath.Base(wanted.file) + ".trail"
	cmd := exec.CommandContext(ctx, "spin", append(append([]string{"-T", "-B", "-k", left}, wanted.flags...), model)...)
	cmd.Dir = filepath.Join(c.folder, wanted.name)
	out, err := cmd.Output()
	// It ends with 1 at the wrong assertion, to which it was led.
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return trail{}, fmt.Errorf("follow the trail: %w", err)
	}
	t, at := retell(string(out))
	t.claim, err = claimAt(at)
	return t, err
}

// place is a line of a file, 0 for none.
type place struct {
	file string
	line int
}

var (
	brokenAt = regexp.MustCompile(`(?m)(\S+):(\d+), Error: assertion violated`)
	remark   = regexp.MustCompile(`/\* (.+) \*/$`)
)

// retell takes the steps from what spin prints, and where it ends.
func retell(out string) (trail, place) {
	var t trail
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "spin: ") {
			t.steps = append(t.steps, line)
		}
	}
	found := brokenAt.FindStringSubmatch(out)
	if found == nil {
		return t, place{}
	}
	number, err := strconv.Atoi(found[2])
	if err != nil {
		return t, place{}
	}
	return t, place{found[1], number}
}

// claimAt is what the model says beside an assertion, empty if nothing.
func claimAt(at place) (string, error) {
	if at.line == 0 {
		return "", nil
	}
	text, err := os.ReadFile(at.file)
	if err != nil {
		return "", fmt.Errorf("read the model: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	if at.line > len(lines) {
		return "", nil
	}
	if said := remark.FindStringSubmatch(strings.TrimSpace(lines[at.line-1])); said != nil {
		return said[1], nil
	}
	return "", nil
}
