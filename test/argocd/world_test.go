//go:build argocd

package argocd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/node"
)

// events are few: what is watched here is not the replay.
const events = 2_000

// world is a room with a log, the Git repository of a release, and an Argo CD
// between them.
type world struct {
	*server
	*node.Room
	whole *testing.T // lasts as long as the Application
	git   *gitRepository

	mu     sync.Mutex
	wanted map[string]string // version by revision
	found  []string          // lies
}

// application is what Argo CD tells of the release.
type application struct {
	sync, health, revision, message string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{whole: t, Room: node.NewRoom(t, shared, "git", events), wanted: map[string]string{}}
	node.Cleanup(t, w.DropRelease)
	w.server = startArgoCD(t)
	w.git = newGitRepository(t, w.Namespace, w.Prefix)
	w.note(t)
	return w
}

// createApplication applies config/argocd/application.yaml for this repository.
func (w *world) createApplication(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(shared.Root, "config", "argocd", "application.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(content, &object.Object); err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		value string
		path  []string
	}{
		{w.git.url, []string{"spec", "source", "repoURL"}}, {"deploy", []string{"spec", "source", "path"}},
		{w.Namespace, []string{"spec", "destination", "namespace"}},
	} {
		if err := unstructured.SetNestedField(object.Object, set.value, set.path...); err != nil {
			t.Fatal(err)
		}
	}
	// Argo CD tracks by the Application's name: what another test left is not this one's.
	object.SetName(w.Namespace)
	if err := shared.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	node.Cleanup(w.whole, func(ctx context.Context) error { return shared.Delete(ctx, object) })
	w.keepWatch(w.whole)
}

// keepWatch compares what Argo CD tells with what is, until the test is over.
func (w *world) keepWatch(t *testing.T) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			w.compare(ctx)
			time.Sleep(look)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// compare reads Argo CD's word first: what is found afterwards is newer.
func (w *world) compare(ctx context.Context) {
	told, err := readApplication(ctx, w.Namespace)
	var release v1alpha1.NawhasRelease
	if err != nil || shared.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: "nawhas"}, &release) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	version := w.wanted[told.revision]
	if told.sync == "Synced" && told.health == "Healthy" && version != "" && release.Status.Live != version && release.Spec.Version == version {
		w.found = append(w.found, fmt.Sprintf("Healthy at %.8s, which asks for %s, while %s is live", told.revision, version, release.Status.Live))
	}
	if stalled := meta.FindStatusCondition(release.Status.Conditions, v1alpha1.ConditionStalled); told.health == "Degraded" && stalled == nil {
		w.found = append(w.found, "Degraded, while the release is not Stalled")
	}
}

func (w *world) lies() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Compact(w.found)
}

// push commits and has Argo CD look at once.
func (w *world) push(t *testing.T, subject string) {
	t.Helper()
	w.git.commit(t, subject)
	w.refresh(t)
}

// refresh has Argo CD look at the repository at once.
func (w *world) refresh(t *testing.T) {
	t.Helper()
	w.note(t)
	kubectl(t, "-n", argoNamespace, "annotate", "application", w.Namespace, "argocd.argoproj.io/refresh=hard", "--overwrite")
}

// note remembers which version the newest commit asks for.
func (w *world) note(t *testing.T) {
	t.Helper()
	var asked struct {
		Spec struct {
			Version string `json:"version"`
		} `json:"spec"`
	}
	content, err := os.ReadFile(filepath.Join(w.git.folder, manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &asked); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted[w.git.run(t, "rev-parse", "HEAD")] = asked.Spec.Version
}

// untilLive waits until a version is live, the one before it is fenced, and Argo
// CD has seen it.
func (w *world) untilLive(t *testing.T, version string) {
	t.Helper()
	head := w.git.run(t, "rev-parse", "HEAD")
	node.Until(t, "live with "+version, func(context.Context) bool {
		told, r := w.application(t), w.Release(t)
		return told == application{"Synced", "Healthy", head, told.message} && r.Status.Live == version &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced)
	})
}

func (w *world) untilHealth(t *testing.T, health string) {
	t.Helper()
	node.Until(t, health, func(context.Context) bool { return w.application(t).health == health })
}

// act runs an action of config/argocd on the release.
func (w *world) act(t *testing.T, action string) {
	t.Helper()
	w.cli(t, "app", "actions", "run", w.Namespace, action, "--kind", "NawhasRelease")
}

func (w *world) application(t *testing.T) application {
	t.Helper()
	found, err := readApplication(t.Context(), w.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func readApplication(ctx context.Context, name string) (application, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"})
	if err := shared.Get(ctx, client.ObjectKey{Namespace: argoNamespace, Name: name}, object); err != nil {
		return application{}, err
	}
	at := func(path ...string) string {
		value, _, _ := unstructured.NestedString(object.Object, append([]string{"status"}, path...)...)
		return value
	}
	return application{sync: at("sync", "status"), health: at("health", "status"), revision: at("sync", "revision"),
		message: at("operationState", "message")}, nil
}

// children are the objects that the operator made for the release, by name.
func (w *world) children(t *testing.T) []metav1.PartialObjectMetadata {
	t.Helper()
	var found []metav1.PartialObjectMetadata
	for _, kind := range []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "DeploymentList"}, {Group: "batch", Version: "v1", Kind: "JobList"},
		{Group: "apps", Version: "v1", Kind: "ControllerRevisionList"}, {Version: "v1", Kind: "ServiceList"}, {Version: "v1", Kind: "SecretList"},
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := shared.List(t.Context(), list, client.InNamespace(w.Namespace), client.HasLabels{v1alpha1.LabelRelease}); err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			item.Kind = strings.TrimSuffix(kind.Kind, "List")
			found = append(found, item)
		}
	}
	slices.SortFunc(found, func(a, b metav1.PartialObjectMetadata) int { return strings.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	return found
}

func keysOf(set map[string]string) []string { return slices.Collect(maps.Keys(set)) }

// explain prints what one would look at.
func (w *world) explain(t *testing.T) {
	for _, args := range [][]string{
		{"-n", argoNamespace, "get", "application", w.Namespace, "-o", "yaml"},
		{"-n", w.Namespace, "get", "nr", "nawhas", "-o", "yaml", "--show-managed-fields"},
		{"-n", w.Namespace, "get", "pods,jobs,services"},
	} {
		out, err := shared.Kubectl(t.Context(), args...)
		if err != nil {
			out = err.Error()
		}
		t.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
}
