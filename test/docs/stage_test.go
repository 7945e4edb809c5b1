package docs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// programs are built once for all tests.
var programs struct {
	sync.Mutex
	folder string
}

// built is the path of a program of this repository.
func built(t *testing.T, name string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	path := filepath.Join(programs.folder, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := exec.Command("go", "build", "-o", path, "github.com/nawhas/nawhas-operator/cmd/"+name).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// stage is an API server with kubectl, the plugin and a folder to work in.
type stage struct {
	t           *testing.T
	client      client.Client
	folder      string
	environment []string
}

// namespace is the one that the documents use, and where kubectl works.
const namespace = "library"

func newStage(t *testing.T) *stage {
	t.Helper()
	server := &envtest.Environment{}
	config, err := server.Start()
	if err != nil {
		t.Fatalf("start an API server (make cluster-programs builds it): %v", err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	s := &stage{t: t, folder: t.TempDir()}
	s.file("kubeconfig", server.KubeConfig)
	scheme := runtime.NewScheme()
	s.must(clientgoscheme.AddToScheme(scheme))
	s.must(v1alpha1.AddToScheme(scheme))
	s.client, err = client.New(config, client.Options{Scheme: scheme})
	s.must(err)
	kubernetes, err := filepath.Abs(os.Getenv("KUBEBUILDER_ASSETS"))
	s.must(err)
	// No browser is started: there is no xdg-open in this PATH.
	search := filepath.Join(s.folder, "path")
	s.must(os.Mkdir(search, 0o750))
	for _, tool := range []string{"sh", "cat"} {
		found, err := exec.LookPath(tool)
		s.must(err)
		s.must(os.Symlink(found, filepath.Join(search, tool)))
	}
	s.must(os.Symlink(built(t, "kubectl-nawhas"), filepath.Join(search, "kubectl-nawhas")))
	s.must(os.Symlink(filepath.Join(kubernetes, "kubectl"), filepath.Join(search, "kubectl")))
	s.environment = []string{"PATH=" + search, "KUBECONFIG=" + filepath.Join(s.folder, "kubeconfig"), "HOME=" + s.folder}
	s.shell("kubectl config set-context --current --namespace=" + namespace)
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) file(name string, content []byte) {
	s.t.Helper()
	s.must(os.WriteFile(filepath.Join(s.folder, name), content, 0o600))
}

func (s *stage) command(text string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "/bin/sh", "-c", text)
	cmd.Dir, cmd.Env = s.folder, s.environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// endGroup ends a command and what it has started.
func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// shell runs a command that has to succeed.
func (s *stage) shell(text string) string {
	s.t.Helper()
	out, err := s.command(text).CombinedOutput()
	if err != nil {
		s.t.Errorf("%s: %v\n%s", text, err, out)
	}
	return string(out)
}

// record puts a release into the namespace as the operator left it in a test of
// the controller, with its Deployments, in place of what is there.
func (s *stage) record(name string) {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "internal", "screen", "testdata", name+".yaml"))
	s.must(err)
	s.must(s.client.DeleteAllOf(s.t.Context(), &v1alpha1.NawhasRelease{}, client.InNamespace(namespace)))
	s.must(s.client.DeleteAllOf(s.t.Context(), &appsv1.Deployment{}, client.InNamespace(namespace)))
	documents := bytes.Split(content, []byte("\n---\n"))
	release := &v1alpha1.NawhasRelease{}
	s.must(yaml.Unmarshal(documents[0], release))
	status := release.Status
	release.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: release.Name}
	s.must(s.client.Create(s.t.Context(), release))
	status.ObservedGeneration = release.Generation
	release.Status = status
	s.must(s.client.Status().Update(s.t.Context(), release))
	for _, document := range documents[1:] {
		s.deployment(document)
	}
}

func (s *stage) deployment(document []byte) {
	s.t.Helper()
	d := &appsv1.Deployment{}
	s.must(yaml.Unmarshal(document, d))
	status := d.Status
	d.Namespace = namespace
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: d.Labels}
	d.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: d.Labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "nawhas", Image: "ghcr.io/nawhas/api:3.2.0"}}}}
	s.must(s.client.Create(s.t.Context(), d))
	d.Status = status
	s.must(s.client.Status().Update(s.t.Context(), d))
}

// manifestIn is the block of a document that has a text in it.
func manifestIn(t *testing.T, path, having string) []byte {
	t.Helper()
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if d.path == path && b.language == "yaml" && bytes.Contains([]byte(b.text), []byte(having)) {
				return []byte(b.text)
			}
		}
	}
	t.Fatal(fmt.Errorf("%s has no block with %q", path, having))
	return nil
}
