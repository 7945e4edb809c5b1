package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAQuantileLiesBetweenItsBounds(t *testing.T) {
	h := histogram{bounds: []float64{1, 2, 4, math.Inf(1)}, counts: []float64{10, 10, 90, 100}, total: 100}
	for q, want := range map[float64]float64{0.05: 0.5, 0.1: 1, 0.5: 3, 0.9: 4, 0.99: 4} {
		if got := h.quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := (histogram{}).quantile(0.99); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
	later := histogram{bounds: h.bounds, counts: []float64{10, 60, 140, 150}, total: 150}
	if got := later.minus(h).quantile(0.5); got != 1.5 {
		t.Errorf("of what came since, the median is %v", got)
	}
}

func TestTheLoadGoesBehindOthers(t *testing.T) {
	load, err := beginBehind(filepath.Join(t.TempDir(), "log"), "sleep", []string{"60"})
	if err != nil {
		t.Fatal(err)
	}
	defer load.end()
	stat := fmt.Sprintf("/proc/%d/stat", load.Process.Pid)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(stat)
		if err != nil {
			t.Fatal(err)
		}
		// pid (program) state …: the niceness is the nineteenth.
		fields := strings.Fields(string(content))
		if fields[1] == "(sleep)" && fields[18] == niceness {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it is %s with niceness %s", fields[1], fields[18])
		}
	}
}

func TestAHeldWireSaysNothing(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
	}()
	w, err := newWire(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	conn, err := net.Dial("tcp", w.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer := make(chan string, 4)
	go func() {
		for {
			buffer := make([]byte, 16)
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			answer <- string(buffer[:n])
		}
	}()
	say := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}

	say("one")
	if got := <-answer; got != "one" {
		t.Fatalf("it said %q", got)
	}
	w.hold(true)
	say("two")
	select {
	case got := <-answer:
		t.Fatalf("held, it said %q", got)
	case <-time.After(100 * time.Millisecond):
	}
	w.hold(false)
	if got := <-answer; got != "two" {
		t.Errorf("let go, it said %q", got)
	}
}
