//go:build platform

// Package installed_test tries what the operator is installed from on a real
// API server, with the tools that users have: helm, kubectl, kubeconform and
// kube-score. The server has no kubelet: nothing runs.
package installed_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	root     = "../../.."
	chart    = root + "/charts/nawhas-operator"
	programs = root + "/bin/kubernetes"
	tools    = root + "/bin/tools"
)

var kubeconfig string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	environment := &envtest.Environment{BinaryAssetsDirectory: filepath.FromSlash(programs)}
	if _, err := environment.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start an API server (make cluster-programs builds it):", err)
		return 1
	}
	defer func() { _ = environment.Stop() }()
	folder, err := os.MkdirTemp("", "nawhas-installed-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	kubeconfig = filepath.Join(folder, "config")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// said is what a command came to.
type said struct {
	out string
	err error
}

// tool runs one of bin/tools or bin/kubernetes; a tool that is not built fails
// the test, and says what builds it.
func tool(t *testing.T, path string, args ...string) said {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: make test-platform builds it", path)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HELM_DRIVER=secret", "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return said{string(out), err}
}

func helm(t *testing.T, args ...string) said { return tool(t, tools+"/helm", args...) }

func kubectl(t *testing.T, args ...string) said {
	return tool(t, programs+"/kubectl", args...)
}

func must(t *testing.T, told said) string {
	t.Helper()
	if told.err != nil {
		t.Fatal(told.err, "\n"+told.out)
	}
	return told.out
}

// refused wants a command to fail, and to say why.
func refused(t *testing.T, told said, why string) {
	t.Helper()
	if told.err == nil || !strings.Contains(told.out, why) {
		t.Errorf("it does not fail with %q: %v\n%s", why, told.err, told.out)
	}
}
