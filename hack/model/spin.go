package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Every model is a search for wrong assertions and for states in which nothing
// goes on. COLLAPSE packs states without losing any, so that the search is
// complete.
var (
	compileFlags = []string{"-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=6000"}
	searchFlags  = []string{"-m1000000"}
)

// checker runs spin in a folder of its own and remembers what it found.
type checker struct {
	folder string
	// tools says which spin and compiler there are.
	tools string
}

func newChecker(ctx context.Context, folder string) (*checker, error) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of results: %w", err)
	}
	if err := ensureTools(ctx); err != nil {
		return nil, err
	}
	var tools []string
	for _, command := range [][]string{{"spin", "-V"}, {"gcc", "-dumpfullversion"}} {
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its version: %w", command[0], err)
		}
		tools = append(tools, strings.TrimSpace(string(out)))
	}
	return &checker{folder: folder, tools: strings.Join(tools, ", gcc ")}, nil
}

// check searches through a model, unless it did so before and nothing changed.
func (c *checker) check(ctx context.Context, wanted check) (result, error) {
	key, err := c.key(wanted)
	if err != nil {
		return result{}, err
	}
	memory := filepath.Join(c.folder, wanted.name+".json")
	if known, ok := remembered(memory, key); ok {
		known.check, known.Known = wanted, true
		return known, nil
	}
	folder, err := c.build(ctx, wanted)
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	search := exec.CommandContext(ctx, "./pan", searchFlags...)
	search.Dir = folder
	out, err := search.Output()
	if err != nil {
		return result{}, fmt.Errorf("search: %w: %s", err, lastLine(string(out)))
	}
	found, err := read(string(out))
	if err != nil {
		return result{}, err
	}
	found.check, found.Key, found.Seconds = wanted, key, time.Since(started).Seconds()
	if found.Violation != "" {
		told, err := c.follow(ctx, wanted)
		if err != nil {
			return result{}, err
		}
		if told.claim != "" {
			found.Violation = told.claim
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		return result{}, fmt.Errorf("encode the result: %w", err)
	}
	if err := os.WriteFile(memory, text, 0o600); err != nil {
		return result{}, fmt.Errorf("remember the result: %w", err)
	}
	return found, nil
}

// key changes with everything that a result depends on.
func (c *checker) key(wanted check) (string, error) {
	text, err := load(wanted.file)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, c.tools, compileFlags, searchFlags, wanted.flags, text)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func remembered(file, key string) (result, bool) {
	var known result
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &known) != nil {
		return result{}, false
	}
	return known, known.Key == key
}

// build has spin write the search program and compiles it, in a new folder.
func (c *checker) build(ctx context.Context, wanted check) (string, error) {
	folder := filepath.Join(c.folder, wanted.name)
	if err := os.RemoveAll(folder); err != nil {
		return "", fmt.Errorf("empty the folder of the search: %w", err)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", fmt.Errorf("make the folder of the search: %w", err)
	}
	model, err := filepath.Abs(wanted.file)
	if err != nil {
		return "", fmt.Errorf("find the model: %w", err)
	}
	for _, command := range [][]string{
		append(append([]string{"spin", "-a"}, wanted.flags...), model),
		append(append([]string{"gcc"}, compileFlags...), "-o", "pan", "pan.c"),
	} {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", command[0], err, lastLine(string(out)))
		}
	}
	return folder, nil
}

var (
	errorsFound  = regexp.MustCompile(`(?m)errors: (\d+)`)
	statesStored = regexp.MustCompile(`(?m)^\s*([0-9.e+]+) states, stored`)
	violation    = regexp.MustCompile(`(?m)^pan:1: (.+) \(at depth \d+\)`)
	errCutShort  = errors.New("the search was cut short: there are too many states for the memory, or too long a way")
)

// read takes the result from what the search says.
func read(out string) (result, error) {
	found := errorsFound.FindStringSubmatch(out)
	states := statesStored.FindStringSubmatch(out)
	if found == nil || states == nil {
		return result{}, fmt.Errorf("the search ended without a result: %s", lastLine(out))
	}
	stored, err := strconv.ParseFloat(states[1], 64)
	if err != nil {
		return result{}, fmt.Errorf("read the number of states: %w", err)
	}
	r := result{States: int64(stored)}
	if found[1] != "0" {
		r.Violation = "something is wrong"
		if named := violation.FindStringSubmatch(out); named != nil {
			r.Violation = named[1]
		}
		return r, nil
	}
	if strings.Contains(out, "Search not completed") || strings.Contains(out, "max search depth too small") || strings.Contains(out, "reached -DMEMLIM") {
		return result{}, errCutShort
	}
	return r, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
