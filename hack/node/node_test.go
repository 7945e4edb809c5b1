package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func testLayout(t *testing.T) layout {
	t.Helper()
	home := layout{state: t.TempDir(), programs: filepath.Join(t.TempDir(), "kubernetes")}
	home.link = home.state
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestAProcessIsKnownByItsPidAndStart(t *testing.T) {
	p := process{home: testLayout(t), name: "sleep", argv: []string{"/bin/sleep", "60"}}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	first := p.pid()
	if first == 0 {
		t.Fatal("it does not run")
	}
	if err := p.start(); err != nil || p.pid() != first {
		t.Fatalf("it was started twice: %v", err)
	}
	if err := p.stop(syscall.SIGTERM); err != nil || p.pid() != 0 {
		t.Fatalf("it was not stopped: %v", err)
	}
}

func TestAKilledProgramTakesItsChildrenAlong(t *testing.T) {
	p := process{home: testLayout(t), name: "shell", argv: []string{"/bin/sh", "-c", "sleep 60 & sleep 60 & wait"}}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	var started []int
	for deadline := time.Now().Add(10 * time.Second); len(started) < 2 && time.Now().Before(deadline); time.Sleep(pollInterval) {
		started = children(p.pid())
	}
	if len(started) < 2 {
		t.Fatalf("it has started %v", started)
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(started, p.pid()) {
		if startTime(pid) != "" {
			t.Errorf("process %d runs", pid)
		}
	}
	if err := p.kill(); err == nil {
		t.Error("what does not run was killed")
	}
}

func TestAPidThatIsSomebodyElsesIsLeftAlone(t *testing.T) {
	stranger := exec.Command("/bin/sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stranger.Wait() }()
	p := process{home: testLayout(t), name: "old"}
	if err := os.WriteFile(p.pidFile(), fmt.Appendf(nil, "%d 1", stranger.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	if p.pid() != 0 {
		t.Fatal("a stranger was taken for the node's own")
	}
	if err := p.stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Fatal("the stranger was ended")
	case <-time.After(200 * time.Millisecond):
	}
	_ = stranger.Process.Kill()
	<-ended
}

func TestTheSameProgramGivesTheSameImage(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "program")
	if err := os.WriteFile(program, []byte("not really a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	var tarballs [2][]byte
	for i := range tarballs {
		out := filepath.Join(folder, "image.tar")
		if err := writeImage(imageOptions{program: program, entrypoint: "/program", name: "example.com/program:1", out: out}); err != nil {
			t.Fatal(err)
		}
		tarballs[i], _ = os.ReadFile(out)
	}
	if !bytes.Equal(tarballs[0], tarballs[1]) {
		t.Fatal("two images differ")
	}
	image, err := tarball.ImageFromPath(filepath.Join(folder, "image.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532" || config.Config.Entrypoint[0] != "/program" {
		t.Fatalf("wrong configuration: %+v", config.Config)
	}
}

func TestReadinessGivesUpWhenTheProgramHasEnded(t *testing.T) {
	p := process{home: testLayout(t), name: "false", argv: []string{"/bin/sh", "-c", "echo no such luck; exit 1"}}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	err := p.ready(t.Context(), answers("http://127.0.0.1:1/"))
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Fatalf("the end of the log is not told: %v", err)
	}
}

func TestOneServerHasTwoAccountsWithoutSuperuser(t *testing.T) {
	a := accounts{Source: "s", Databases: "d"}
	if a.sourceURL() != "postgres://nawhas_source:s@10.90.0.2:5432/source?sslmode=disable" {
		t.Errorf("the source is at %s", a.sourceURL())
	}
	if a.databasesURL() != "postgres://nawhas_databases:d@10.90.0.2:5432/postgres?sslmode=disable" {
		t.Errorf("the databases are at %s", a.databasesURL())
	}
}
