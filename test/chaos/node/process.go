package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Process is the process of a pod.
type Process struct {
	// Name is the pod's name, Stage what it runs, and Version whose it is.
	Name, Stage, Version string

	command *exec.Cmd
	// done is closed when it has ended, with code.
	done chan struct{}
	code int
	mu   sync.Mutex
	gone bool
}

// Program names what the process runs.
func (p *Process) Program() string { return p.Stage }

// End kills the process and returns when it is gone.
func (p *Process) End() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stalled is for how long a process is stopped.
const stalled = 3 * time.Second

// Stall stops the process for a while.
func (p *Process) Stall() {
	p.signal(syscall.SIGSTOP)
	select {
	case <-p.done:
	case <-time.After(stalled):
	}
	p.signal(syscall.SIGCONT)
}

// Freeze stops the process until Thaw.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

// terminate asks the process to end, and kills it when it takes too long.
func (p *Process) terminate(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	time.AfterFunc(grace, func() { p.signal(syscall.SIGKILL) })
}

// signal reaches the process only, and never one that got its number later.
func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = p.command.Process.Signal(s)
	}
}

// launch starts the process of a pod's first container.
func (n *Node) launch(ctx context.Context, object *corev1.Pod) (*Process, error) {
	container := &object.Spec.Containers[0]
	_, tag, _ := strings.Cut(container.Image, ":")
	path, err := n.Program(tag)
	if err != nil {
		return nil, err
	}
	p := &Process{Name: object.Name, Stage: program(object), Version: object.Labels[v1alpha1.LabelVersion], done: make(chan struct{})}
	address, stop, err := n.Listen(p)
	if err != nil {
		return nil, err
	}
	env, err := n.environment(ctx, object)
	if err != nil {
		stop()
		return nil, err
	}
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], n.Postgres, address)
	}
	arguments := append(append([]string(nil), container.Command[min(1, len(container.Command)):]...), container.Args...)
	for i := range arguments {
		arguments[i] = expand(arguments[i], env)
	}
	output, err := n.Output(object.Name)
	if err != nil {
		stop()
		return nil, err
	}
	p.command = exec.Command(path, arguments...)
	p.command.Env = env
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		stop()
		_ = output.Close()
		return nil, fmt.Errorf("start %s: %w", object.Name, err)
	}
	go func() {
		_ = p.command.Wait()
		p.mu.Lock()
		p.gone, p.code = true, exitCode(p.command)
		p.mu.Unlock()
		stop()
		_ = output.Close()
		close(p.done)
	}()
	return p, nil
}

// exitCode is what a shell would say.
func exitCode(command *exec.Cmd) int {
	status, ok := command.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return command.ProcessState.ExitCode()
}

// ListenVariable is where a workload finds the host that it shall listen on.
const ListenVariable = "CHAOS_HOST"

// environment is what a kubelet makes of a container's variables.
func (n *Node) environment(ctx context.Context, object *corev1.Pod) ([]string, error) {
	env := []string{ListenVariable + "=" + onLoopback(object.Status.PodIP)}
	for _, variable := range object.Spec.Containers[0].Env {
		value, err := n.value(ctx, object, variable, env)
		if err != nil {
			return nil, fmt.Errorf("read the variable %s of pod %s: %w", variable.Name, object.Name, err)
		}
		env = append(env, variable.Name+"="+value)
	}
	return env, nil
}

func (n *Node) value(ctx context.Context, object *corev1.Pod, variable corev1.EnvVar, before []string) (string, error) {
	switch from := variable.ValueFrom; {
	case from == nil:
		return expand(variable.Value, before), nil
	case from.SecretKeyRef != nil:
		secret := &corev1.Secret{}
		if err := n.Client.Get(ctx, client.ObjectKey{Namespace: object.Namespace, Name: from.SecretKeyRef.Name}, secret); err != nil {
			return "", err
		}
		return string(secret.Data[from.SecretKeyRef.Key]), nil
	case from.FieldRef != nil:
		key, ok := strings.CutPrefix(from.FieldRef.FieldPath, "metadata.labels['")
		if !ok {
			return "", fmt.Errorf("the field %s is not known here", from.FieldRef.FieldPath)
		}
		return object.Labels[strings.TrimSuffix(key, "']")], nil
	}
	return "", fmt.Errorf("its source is not known here")
}

var reference = regexp.MustCompile(`\$\$|\$\([A-Za-z_][A-Za-z0-9_]*\)`)

func expand(value string, env []string) string {
	return reference.ReplaceAllStringFunc(value, func(found string) string {
		if found == "$$" {
			return "$"
		}
		for i := len(env) - 1; i >= 0; i-- {
			if known, ok := strings.CutPrefix(env[i], found[2:len(found)-1]+"="); ok {
				return known
			}
		}
		return found
	})
}

func digest(image string) string {
	hash := sha256.Sum256([]byte(image))
	return hex.EncodeToString(hash[:])
}
