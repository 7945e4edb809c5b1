package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

// A live screen goes up by as many lines as it has drawn, also when the API
// server is away meanwhile and the last state stays on it.
func TestALiveScreenDrawsOverItself(t *testing.T) {
	var out bytes.Buffer
	v := &liveView{out: &out, now: time.Now}
	summary := screen.Summary{Name: "nawhas", Wanted: "3.2.0", Live: "3.1.2", Seen: true, Available: true,
		Versions: []screen.Version{{Version: "3.2.0", Role: "Candidate"}, {Version: "3.1.2", Role: "Live"}}}
	for _, draw := range []func() error{
		func() error { return v.show(summary) },
		func() error { return v.interrupted(errors.New("the API server does not answer")) },
		func() error { return v.show(summary) },
	} {
		before := v.drawn
		out.Reset()
		if err := draw(); err != nil {
			t.Fatal(err)
		}
		up := fmt.Sprintf("\x1b[%dA\r", before)
		if before > 0 && !strings.HasPrefix(out.String(), up) {
			t.Errorf("it does not begin %d lines up: %q", before, out.String())
		}
		if lines := strings.Count(out.String(), "\n"); lines != v.drawn || !strings.Contains(out.String(), "live 3.1.2") {
			t.Errorf("%d lines, %d counted: %q", lines, v.drawn, out.String())
		}
	}
}

func TestALiveScreenIsNoHigherThanTheTerminal(t *testing.T) {
	var out bytes.Buffer
	v := &liveView{out: &out, now: time.Now}
	if err := v.draw(make([]string, 3*usualHeight)); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != usualHeight-1 || v.drawn != lines {
		t.Errorf("%d lines, %d counted", lines, v.drawn)
	}
}
