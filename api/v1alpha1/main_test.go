package v1alpha1_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

const (
	programs    = "../../bin/kubernetes"
	definitions = "../../config/crd/bases"
	namespace   = "default"
)

var (
	cluster    client.Client
	kubeconfig string
)

// TestMain installs the definition as a user does: with kubectl apply.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		_ = os.Setenv("KUBEBUILDER_ASSETS", filepath.FromSlash(programs))
	}
	environment := &envtest.Environment{}
	config, err := environment.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server (make cluster-programs builds it):", err)
		return 1
	}
	defer func() { _ = environment.Stop() }()
	folder, err := os.MkdirTemp("", "nawhas-kubeconfig-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for a kubeconfig:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	kubeconfig = filepath.Join(folder, "config")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "write a kubeconfig:", err)
		return 1
	}
	if out, err := install(); err != nil {
		fmt.Fprintln(os.Stderr, "install the definition:", err, out)
		return 1
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if cluster, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, "connect to the API server:", err)
		return 1
	}
	return m.Run()
}

// install applies the definition and waits until it is served. `kubectl wait`
// gives up at once on a definition that has no conditions yet; the words about
// its fields are published some time after it is served.
func install() (string, error) {
	out, err := kubectl("apply", "-f", definitions)
	for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var notYet error
		if out, notYet = kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", definitions); notYet != nil {
			continue
		}
		if out, notYet = kubectl("explain", "nawhasreleases"); notYet == nil {
			return out, nil
		}
	}
	if err == nil {
		err = errors.New("it is not served after a minute")
	}
	return out, err
}

func kubectl(args ...string) (string, error) {
	command := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// manifests are the documents of a file, as they are written: nothing in them
// has passed through the Go types.
func manifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		object.SetNamespace(namespace)
		all = append(all, object)
	}
	return all
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", pattern, err, len(files))
	}
	return files
}

func nameOf(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

// create makes the object and has it deleted when the test ends.
func create(t *testing.T, object client.Object) error {
	t.Helper()
	err := cluster.Create(t.Context(), object, client.FieldValidation("Strict"))
	if err == nil {
		t.Cleanup(func() {
			if out, err := kubectl("delete", "nr", object.GetName(), "--namespace", namespace); err != nil {
				t.Errorf("delete %s: %v %s", object.GetName(), err, out)
			}
		})
	}
	return err
}

// stored is an object as the Go types see it.
func stored(t *testing.T, name string) *v1alpha1.NawhasRelease {
	t.Helper()
	release := &v1alpha1.NawhasRelease{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, release); err != nil {
		t.Fatal(err)
	}
	return release
}
