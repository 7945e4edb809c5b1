package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/dashboard"
)

// served runs the dashboard, and returns what reads its next message.
func (r *room) served(args ...string) func() dashboard.State {
	r.t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan int)
	go func() { ended <- run(ctx, append([]string{"dashboard"}, args...), writer, io.Discard) }()
	r.t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			r.t.Errorf("the dashboard ended with %d", code)
		}
	})
	line, err := bufio.NewReader(reader).ReadString('\n')
	r.must(err)
	page, _, _ := strings.Cut(line, " ")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"events", http.NoBody)
	r.must(err)
	response, err := http.DefaultClient.Do(request)
	r.must(err)
	r.t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return func() dashboard.State {
		r.t.Helper()
		for lines.Scan() {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				var state dashboard.State
				r.must(json.Unmarshal([]byte(data), &state))
				return state
			}
		}
		r.t.Fatalf("the feed ended: %v", lines.Err())
		return dashboard.State{}
	}
}

// untilShown reads messages until one is as wanted.
func untilShown(next func() dashboard.State, wanted func(dashboard.State) bool) dashboard.State {
	for {
		if state := next(); wanted(state) {
			return state
		}
	}
}

func TestTheDashboardShowsWhatChanges(t *testing.T) {
	r := newRoom(t)
	release := r.recorded("replaying")
	next := r.served("--kubeconfig", kubeconfig, "-n", r.namespace)

	state := untilShown(next, func(s dashboard.State) bool { return len(s.Releases) == 1 })
	first := state.Releases[0]
	if first.Live != "3.1.2" || first.Versions[0].Progress.Percent != 61 || first.Versions[1].Pods.Ready != 2 || state.Namespace != r.namespace {
		t.Errorf("it shows %+v", state)
	}

	release.Status.Versions[0].Progress.Percent = 62
	r.must(cluster.Status().Update(t.Context(), release))
	untilShown(next, func(s dashboard.State) bool { return s.Releases[0].Versions[0].Progress.Percent == 62 })

	r.must(cluster.Delete(t.Context(), release))
	untilShown(next, func(s dashboard.State) bool { return len(s.Releases) == 0 })
}

func TestTheDashboardShowsAllNamespaces(t *testing.T) {
	here, there := newRoom(t), newRoom(t)
	here.recorded("settled")
	there.recorded("failed")
	untilShown(here.served("--kubeconfig", kubeconfig, "-A"), func(s dashboard.State) bool {
		var found int
		for _, release := range s.Releases {
			if release.Namespace == here.namespace || release.Namespace == there.namespace {
				found++
			}
		}
		return s.Namespace == "" && found == 2
	})
}

// Whoever may only look at releases sees them without their pods.
func TestTheDashboardWithoutTheRightToSeePods(t *testing.T) {
	r := newRoom(t)
	r.recorded("settled")
	viewer, err := lab.AddUser(envtest.User{Name: "viewer"}, nil)
	r.must(err)
	r.must(cluster.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "viewer"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"nawhasreleases"}, Verbs: []string{"get", "list", "watch"}}}}))
	r.must(client.IgnoreAlreadyExists(cluster.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "viewer"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "viewer", APIGroup: rbacv1.GroupName}}})))
	content, err := viewer.KubeConfig()
	r.must(err)
	file := filepath.Join(t.TempDir(), "config")
	r.must(os.WriteFile(file, content, 0o600))

	state := untilShown(r.served("--kubeconfig", file, "-n", r.namespace), func(s dashboard.State) bool { return len(s.Releases) == 1 })
	if !state.PodsHidden || state.Releases[0].Versions[0].Pods != nil || state.Problem != nil {
		t.Errorf("it shows %+v", state)
	}
}

func TestTheDashboardRefuses(t *testing.T) {
	r := newRoom(t)
	r.run("dashboard", "--address", "0.0.0.0:0").expect(t, exitUsage, "must be of this machine", "ssh -L")
	r.run("dashboard", "--address", "8080").expect(t, exitUsage, "host:port")
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	r.run("dashboard", "--address", taken.Listener.Addr().String()).expect(t, exitUsage, "address already in use")
	r.run("dashboard", "nawhas").expect(t, exitUsage, "unknown command")
	stranger, err := lab.AddUser(envtest.User{Name: "nobody"}, nil)
	r.must(err)
	content, err := stranger.KubeConfig()
	r.must(err)
	file := filepath.Join(t.TempDir(), "config")
	r.must(os.WriteFile(file, content, 0o600))
	runWith(t.Context(), "dashboard", "--kubeconfig", file, "-n", r.namespace).expect(t, exitUnread, `User "nobody" cannot list`, "nawhasrelease-viewer")
}
