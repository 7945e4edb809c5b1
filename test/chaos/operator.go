package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nawhas/nawhas-operator/test/chaos/apiproxy"
)

const (
	// restartAfter is what a Deployment of one pod needs at its best.
	restartAfter = 200 * time.Millisecond
	// stale is for how long an operator goes on beside its successor, which has
	// takeover to take its place.
	stale    = 3 * time.Second
	takeover = 6 * time.Second
)

// operator is the real program, started again whenever it ends.
type operator struct {
	world *world
	api   *apiproxy.Proxy

	mu      sync.Mutex
	command *exec.Cmd
	// ended is closed when the present process is gone.
	ended   chan struct{}
	retired bool
	done    chan struct{}
}

func (w *world) startOperator() (*operator, error) {
	o := &operator{world: w, done: make(chan struct{})}
	var err error
	if o.api, err = apiproxy.Start(w.cluster.config, w.book, o); err != nil {
		return nil, err
	}
	if err := o.start(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.operators = append(w.operators, o)
	w.mu.Unlock()
	go o.supervise()
	return o, nil
}

// Program is what killpoints call it.
func (o *operator) Program() string { return "operator" }

// End kills the process and returns when it is gone.
func (o *operator) End() {
	o.mu.Lock()
	command, ended := o.command, o.ended
	_ = command.Process.Kill()
	o.mu.Unlock()
	<-ended
}

// Stall stops the operator in the middle of what it does and lets a successor
// work. Then it goes on, and does not know that its time is over. While it is in
// a transaction that holds the ledger, no successor can take its place.
func (o *operator) Stall() {
	o.signal(syscall.SIGSTOP)
	before := o.world.epoch()
	if _, err := o.world.startOperator(); err != nil {
		o.world.log.Error("start a second operator", "error", err)
	}
	taken := false
	for deadline := time.Now().Add(takeover); !taken && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		taken = before > 0 && o.world.epoch() > before
	}
	if taken {
		o.world.superseded()
		time.Sleep(time.Second)
	}
	o.signal(syscall.SIGCONT)
	time.AfterFunc(stale, o.stop)
}

// epoch is the release's in the ledger, 0 when it is not known.
func (w *world) epoch() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), takeover)
	defer cancel()
	conn, err := w.source(ctx)
	if err != nil {
		return 0
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var epoch int64
	_ = conn.QueryRow(ctx, "SELECT epoch FROM nawhas_ledger.releases").Scan(&epoch)
	return epoch
}

func (w *world) superseded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late++
}

// stop ends the operator for good.
func (o *operator) stop() {
	o.mu.Lock()
	o.retired = true
	o.mu.Unlock()
	o.signal(syscall.SIGCONT)
	for over := false; !over; {
		o.End()
		select {
		case <-o.done:
			over = true
		case <-time.After(restartAfter):
			// It was just being started again.
		}
	}
	o.api.Close()
	o.world.forget(o)
}

func (o *operator) signal(s syscall.Signal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.command.Process.Signal(s)
}

func (o *operator) pid() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.command.Process.Pid
}

func (o *operator) start() error {
	config := filepath.Join(o.world.folder, fmt.Sprintf("operator-%p.kubeconfig", o))
	if err := os.WriteFile(config, []byte(fmt.Sprintf(kubeconfig, o.api.URL)), 0o600); err != nil {
		return fmt.Errorf("write the operator's configuration: %w", err)
	}
	log, err := o.world.output("operator")
	if err != nil {
		return err
	}
	command := exec.Command(o.world.programs.operator, "--metrics-bind-address=0", "--health-probe-bind-address=0", "--watch-namespace="+o.world.namespace)
	command.Env = []string{"KUBECONFIG=" + config}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	ended := make(chan struct{})
	o.mu.Lock()
	o.command, o.ended = command, ended
	o.mu.Unlock()
	go func() {
		_ = command.Wait()
		_ = log.Close()
		close(ended)
	}()
	return nil
}

// supervise starts the operator again until it is stopped.
func (o *operator) supervise() {
	defer close(o.done)
	for {
		o.mu.Lock()
		ended := o.ended
		o.mu.Unlock()
		<-ended
		time.Sleep(restartAfter)
		o.mu.Lock()
		retired := o.retired
		o.mu.Unlock()
		if retired {
			return
		}
		if err := o.start(); err != nil {
			o.world.log.Error("start the operator again", "error", err)
			return
		}
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: chaos, cluster: {server: %q}}]
users: [{name: chaos, user: {}}]
contexts: [{name: chaos, context: {cluster: chaos, user: chaos}}]
current-context: chaos
`
