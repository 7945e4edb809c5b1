package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// newTerminal is a terminal of 80 columns, and the lines that are printed on it,
// until it is closed.
func newTerminal(t *testing.T) (terminal *os.File, lines <-chan string) {
	t.Helper()
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outer.Close() })
	if err := unix.IoctlSetPointerInt(int(outer.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(outer.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(inner.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: usualHeight, Col: usualWidth}); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1000)
	go func() {
		defer close(printed)
		// It ends with an error when the last writer has closed the other side.
		for scanner := bufio.NewScanner(outer); scanner.Scan(); {
			printed <- scanner.Text()
		}
	}()
	return inner, printed
}

// runOnTerminal runs the program as somebody does who looks at it.
func runOnTerminal(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	terminal, lines := newTerminal(t)
	run(ctx, args, terminal, terminal)
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for line := range lines {
		said.WriteString(line + "\n")
	}
	return said.String()
}

var escape = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// TestEveryCommandFitsATerminal wants no line that a terminal of 80 columns has to
// break, and no colours where they are not welcome.
func TestEveryCommandFitsATerminal(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	building := newRoom(t)
	building.recorded("replaying")
	b := newBare(t)
	t.Setenv("TERM", "xterm-256color")
	for _, welcome := range []bool{true, false} {
		if !welcome {
			t.Setenv("NO_COLOR", "1")
		}
		for _, test := range []struct {
			args    []string
			painted bool
		}{
			{[]string{"status", "-n", r.namespace}, true},
			{[]string{"status", "-n", building.namespace}, true},
			{[]string{"status", "-w", "--timeout", "1500ms", "-n", building.namespace}, true},
			{[]string{"history", "-n", r.namespace}, false},
			{[]string{"plan", "--version", "3.3.0", "-n", r.namespace}, false},
			{[]string{"plan", "--version", "3.1.2", "-n", r.namespace}, false},
			{[]string{"suspend", "--dry-run", "-n", r.namespace}, false},
			{[]string{"report", "--file", filepath.Join(t.TempDir(), "report.tar.gz"), "-n", r.namespace}, false},
			{[]string{"install", "--dry-run", "--kubeconfig", b.config}, false},
			{[]string{"install", "--kubeconfig", b.config}, false},
		} {
			args := append([]string{"--kubeconfig", kubeconfig}, test.args...)
			said := runOnTerminal(t.Context(), t, args...)
			name := strings.Join(test.args, " ")
			if painted := regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(said); painted != (test.painted && welcome) {
				t.Errorf("%s: painted is %v", name, painted)
			}
			fits(t, name, said)
		}
	}
}

// fits passes over what the program says of its end: the words of an error are
// left whole, so that what is to be typed next can be copied.
func fits(t *testing.T, name, said string) {
	t.Helper()
	if strings.TrimSpace(said) == "" {
		t.Errorf("%s says nothing", name)
	}
	for line := range strings.Lines(escape.ReplaceAllString(said, "")) {
		line = strings.TrimRight(line, "\r\n")
		if utf8.RuneCountInString(line) > usualWidth && !strings.HasPrefix(line, "error: ") && !strings.HasPrefix(line, "wrote ") {
			t.Errorf("%s has a line of %d characters: %s", name, utf8.RuneCountInString(line), line)
		}
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	for _, cmd := range append(command(&session{}).Commands(), command(&session{})) {
		args := []string{cmd.Name(), "--help"}
		if !cmd.HasParent() {
			args = args[1:]
		}
		got := runWith(t.Context(), args...)
		got.expect(t, 0, "Usage:")
		fits(t, strings.Join(args, " "), got.out)
	}
}

func TestTheDashboardFitsATerminal(t *testing.T) {
	r := newRoom(t)
	terminal, lines := newTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"dashboard", "--kubeconfig", kubeconfig, "-n", r.namespace}, terminal, terminal)
	}()
	said := <-lines
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("it ends with %d", code)
	}
	_ = terminal.Close()
	fits(t, "dashboard", said)
	if !strings.Contains(said, "http://127.0.0.1:") || strings.Contains(said, "\x1b") {
		t.Errorf("it says %q", said)
	}
}
