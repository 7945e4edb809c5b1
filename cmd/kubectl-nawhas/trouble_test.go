package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

func TestTheCommandLineIsWrong(t *testing.T) {
	r := newRoom(t)
	for args, said := range map[string]string{
		"nonsense":               `unknown command "nonsense"`,
		"status -o yaml":         "it can be json",
		"status --timeout 3s":    "goes with --wait",
		"status a b":             "accepts at most 1 arg",
		"status --wait=perhaps":  "invalid argument",
		"status absent":          `"absent" not found`,
		"status":                 "there is no NawhasRelease in namespace",
		"status --context other": `context "other" does not exist`,
	} {
		code := exitUsage
		if strings.Contains(args, "--context") {
			code = exitUnread
		}
		t.Run(args, func(t *testing.T) { r.run(strings.Fields(args)...).expect(t, code, said) })
	}
}

func TestTwoReleasesAndNoName(t *testing.T) {
	r := newRoom(t)
	r.recorded("settled")
	second := r.get("nawhas")
	second.ObjectMeta = metav1.ObjectMeta{Namespace: r.namespace, Name: "second"}
	r.must(cluster.Create(t.Context(), second))
	for _, command := range []string{"status", "promote", "abort", "rollback", "retry", "history", "plan", "report", "logs replay"} {
		r.run(strings.Fields(command)...).expect(t, exitUsage, "has 2 releases: nawhas, second", "Name the one you mean")
	}
	r.run("status", "second").expect(t, 0, "has not seen this spec")
}

func TestWithoutRights(t *testing.T) {
	r := newRoom(t)
	r.recorded("settled")
	stranger, err := lab.AddUser(envtest.User{Name: "stranger"}, nil)
	r.must(err)
	file := filepath.Join(t.TempDir(), "config")
	content, err := stranger.KubeConfig()
	r.must(err)
	r.must(os.WriteFile(file, content, 0o600))
	runWith(t.Context(), "status", "nawhas", "--kubeconfig", file, "-n", r.namespace).
		expect(t, exitUnread, `User "stranger" cannot get`, "nawhasrelease-viewer")
}

func TestLogs(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	r.run("logs", "cook").expect(t, exitUsage, `"cook" is neither a stage nor a workload`, "migrate, replay, verify, observe, follower, drained, api")
	r.run("logs", "verify").expect(t, exitFailed, "version 3.2.0 has no pod of verify", "--version")
	pod := r.pod("verify")
	r.schedule(pod, kubelet(t))
	r.run("logs", "verify", "--tail", "1").expect(t, 0, "the last words of "+pod.Name)
}

func TestLogsOfRounds(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")
	node := kubelet(t)
	round := r.pod("round")
	r.schedule(round, node)
	r.run("logs", "replay").expect(t, 0, "the last words of "+round.Name)

	r.run("logs", "drained").expect(t, exitFailed, "version 3.1.2 has no pod of drained")
	drains := r.podOf("3.1.2", "drained")
	r.schedule(drains, node)
	r.run("logs", "drained").expect(t, 0, "the last words of "+drains.Name)
}

// An API server that has never heard of releases, then has an older operator's
// definition, and then is gone.
func TestAnotherCluster(t *testing.T) {
	other := &envtest.Environment{}
	config, err := other.Start()
	if err != nil {
		t.Fatal(err)
	}
	running := true
	t.Cleanup(func() {
		if running {
			_ = other.Stop()
		}
	})
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, other.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	status := func(args ...string) result { return runWith(t.Context(), append(args, "--kubeconfig", file)...) }

	status("status").expect(t, exitUnread, "this cluster does not know NawhasReleases", "Install the operator")

	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{older(t)}}); err != nil {
		t.Fatal(err)
	}
	there, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	mine := &room{t: t, namespace: "default"}
	here := cluster
	cluster = there
	mine.recorded("switched", sentBack)
	cluster = here
	status("status").expect(t, 0, "wanted 3.2.0", "3.1.2")
	status("retry").expect(t, exitFailed, "definition of NawhasRelease is older than this program", "Upgrade the operator")

	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	running = false
	status("status").expect(t, exitUnread, "does not answer", "kubectl cluster-info")
	status("status", "-w", "--timeout", "2s").expect(t, exitUnread, "does not answer")
}

// older is the definition without the field by which a version is tried again.
func older(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(definitions, "releases.nawhas.com_nawhasreleases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(content, definition); err != nil {
		t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	unstructured.RemoveNestedField(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", "retry")
	if err := unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	if content, err = yaml.Marshal(definition.Object); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "older.yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kubelet stands in for the one of a node, whose name it returns: it answers
// the API server when that is asked for a pod's logs.
func kubelet(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		_, _ = fmt.Fprintf(w, "the last words of %s, container %s: no answer from postgres://a:hunter2@db\n", parts[3], parts[4])
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().(*net.TCPAddr)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}
	if err := cluster.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.IP.String()}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(address.Port)
	if err := cluster.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	return node.Name
}
