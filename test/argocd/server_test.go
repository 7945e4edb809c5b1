//go:build argocd

package argocd

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/test/node"
)

// argoNamespace is where Argo CD keeps its settings and Applications.
const argoNamespace = "argocd"

// server is an Argo CD whose programs run beside the cluster, in its network.
type server struct {
	folder, api string
}

// startArgoCD gives Argo CD its definitions, its settings as they come with it, and
// the health and actions of releases, and starts its programs.
func startArgoCD(t *testing.T) *server {
	t.Helper()
	kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", "bin/argocd/crds")
	ensureNamespace(t, argoNamespace)
	kubectl(t, "apply", "--server-side", "--force-conflicts", "-n", argoNamespace, "-f", "bin/argocd/config")
	kubectl(t, "-n", argoNamespace, "patch", "secret", "argocd-secret", "--patch", `{"stringData":{"server.secretkey":"only for this test"}}`)
	kubectl(t, "-n", argoNamespace, "patch", "configmap", "argocd-cm", "--patch-file", "dist/argocd-cm.yaml")
	// The API server takes a moment to know a kind that was just defined.
	node.Until(t, "aware of Argo CD's kinds", func(ctx context.Context) bool {
		_, err := shared.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-n", argoNamespace, "-f", "test/argocd/testdata/project.yaml")
		return err == nil
	})
	s := &server{folder: t.TempDir(), api: freeAddress(t)}
	redis, repository := freeAddress(t), freeAddress(t)
	s.start(t, filepath.Join(shared.Root, "bin", "tools", "argocd-redis"), redis)
	s.role(t, "repo-server", append([]string{"--redis", redis, "--disable-tls"}, listening(repository, freeAddress(t))...)...)
	s.role(t, "application-controller", "--kubeconfig", os.Getenv("KUBECONFIG"), "--namespace", argoNamespace, "--redis", redis,
		"--repo-server", repository, "--repo-server-plaintext", "--app-resync", "5", "--app-resync-jitter", "0", "--metrics-port", port(freeAddress(t)))
	s.role(t, "server", append([]string{"--kubeconfig", os.Getenv("KUBECONFIG"), "--namespace", argoNamespace, "--redis", redis,
		"--repo-server", repository, "--repo-server-plaintext", "--insecure", "--disable-auth"}, listening(s.api, freeAddress(t))...)...)
	reachable(t, redis, repository, s.api)
	return s
}

func listening(address, metrics string) []string {
	return []string{"--address", "127.0.0.1", "--port", port(address), "--metrics-address", "127.0.0.1", "--metrics-port", port(metrics)}
}

// role starts the program in one of its roles, which it knows by its name.
func (s *server) role(t *testing.T, name string, args ...string) {
	t.Helper()
	program := filepath.Join(s.folder, "argocd-"+name)
	if err := os.Symlink(filepath.Join(shared.Root, "bin", "tools", "argocd"), program); err != nil {
		t.Fatal(err)
	}
	s.start(t, program, append(args, "--loglevel", "warn")...)
}

func (s *server) start(t *testing.T, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(s.folder, filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = s.environment(), s.folder
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s (make bin/tools/argocd builds it): %v", filepath.Base(program), err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stopped := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stopped.Stop()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), tail(string(content)))
		}
	})
}

// environment keeps everything that Argo CD writes in one folder, and lets it
// find git and kustomize.
func (s *server) environment() []string {
	return append(os.Environ(),
		"PATH="+filepath.Join(shared.Root, "bin", "tools")+":"+os.Getenv("PATH"),
		"HOME="+s.folder, "TMPDIR="+s.folder, "ARGOCD_CONFIG_DIR="+s.folder, "ARGOCD_TLS_DATA_PATH="+s.folder, "ARGOCD_SSH_DATA_PATH="+s.folder,
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_FAKE_IN_CLUSTER=true", "HOSTNAME=argocd-application-controller-0")
}

// cli runs Argo CD's command line, as people do.
func (s *server) cli(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(shared.Root, "bin", "tools", "argocd"), append(args, "--server", s.api, "--plaintext")...)
	cmd.Env = s.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("argocd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func ensureNamespace(t *testing.T, name string) {
	t.Helper()
	if _, err := shared.Kubectl(t.Context(), "create", "namespace", name); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
}

func reachable(t *testing.T, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		node.Until(t, "answered at "+address, func(ctx context.Context) bool {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			return err == nil && conn.Close() == nil
		})
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func port(address string) string {
	_, number, _ := strings.Cut(address, ":")
	return number
}

func tail(text string) string {
	const most = 4000
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}
