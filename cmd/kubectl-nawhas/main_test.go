package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// definitions are what the operator comes with; recordings are releases as the
// operator left them in a test of the controller, with their Deployments.
const (
	definitions = "../../config/crd/bases"
	recordings  = "../../internal/screen/testdata"
)

// lab is a real API server. There is no operator: tests write its statuses.
var (
	lab        *envtest.Environment
	cluster    client.Client
	kubeconfig string
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		_ = os.Setenv("KUBEBUILDER_ASSETS", filepath.Join("..", "..", "bin", "kubernetes"))
	}
	lab = &envtest.Environment{CRDDirectoryPaths: []string{definitions}, ErrorIfCRDPathMissing: true}
	config, err := lab.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server (make cluster-programs builds it):", err)
		return 1
	}
	defer func() { _ = lab.Stop() }()
	folder, err := os.MkdirTemp("", "kubectl-nawhas-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	kubeconfig = filepath.Join(folder, "config")
	if err := os.WriteFile(kubeconfig, lab.KubeConfig, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if cluster, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// room is a namespace of its own.
type room struct {
	t         *testing.T
	namespace string
}

func newRoom(t *testing.T) *room {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "room-"}}
	if err := cluster.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return &room{t: t, namespace: namespace.Name}
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// recorded puts a recording into the room: the release with its status, and
// its Deployments.
func (r *room) recorded(name string, change ...func(*v1alpha1.NawhasRelease)) *v1alpha1.NawhasRelease {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(recordings, name+".yaml"))
	r.must(err)
	documents := bytes.Split(content, []byte("\n---\n"))
	release := &v1alpha1.NawhasRelease{}
	r.must(yaml.Unmarshal(documents[0], release))
	release.ObjectMeta = metav1.ObjectMeta{Namespace: r.namespace, Name: release.Name, Labels: release.Labels, Annotations: release.Annotations}
	for _, apply := range change {
		apply(release)
	}
	status := release.Status
	r.must(cluster.Create(r.t.Context(), release))
	release.Status = status
	release.Status.ObservedGeneration = release.Generation
	r.must(cluster.Status().Update(r.t.Context(), release))
	for _, document := range documents[1:] {
		r.deployment(document)
	}
	return release
}

func (r *room) deployment(document []byte) {
	r.t.Helper()
	d := &appsv1.Deployment{}
	r.must(yaml.Unmarshal(document, d))
	status := d.Status
	d.Namespace = r.namespace
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: d.Labels}
	d.Spec.Template = template(d.Labels)
	r.must(cluster.Create(r.t.Context(), d))
	d.Status = status
	r.must(cluster.Status().Update(r.t.Context(), d))
}

func template(labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyAlways,
		Containers: []corev1.Container{{Name: "nawhas", Image: "ghcr.io/nawhas/api:3.2.0", Env: []corev1.EnvVar{
			{Name: "API_KEY", Value: "hunter2"}, {Name: "NAWHAS_VERSION", Value: "3.2.0"}}}},
	}}
}

func (r *room) get(name string) *v1alpha1.NawhasRelease {
	r.t.Helper()
	release := &v1alpha1.NawhasRelease{}
	r.must(cluster.Get(r.t.Context(), client.ObjectKey{Namespace: r.namespace, Name: name}, release))
	return release
}

// result is what a run of the program came to.
type result struct {
	code         int
	out, problem string
}

// run is the program, as a user of the room runs it.
func (r *room) run(args ...string) result {
	r.t.Helper()
	return runWith(r.t.Context(), append(args, "--kubeconfig", kubeconfig, "-n", r.namespace)...)
}

func runWith(ctx context.Context, args ...string) result {
	var out, problem bytes.Buffer
	code := run(ctx, args, &out, &problem)
	return result{code: code, out: out.String(), problem: problem.String()}
}

// expect fails the test unless the program ended so and said all this.
func (got result) expect(t *testing.T, code int, said ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, not %d", got.code, code)
	}
	for _, want := range said {
		if !strings.Contains(got.out+got.problem, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Fatalf("it printed\n%s\n%s", got.out, got.problem)
	}
}
