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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// events are few: what is watched here is not the replay.
const events = 2_000

// world is a namespace with a log, the Git repository of a release, and an Argo
// CD between them.
type world struct {
	*server
	whole             *testing.T // lasts as long as the Application
	git               *gitRepository
	log               *cluster.Log
	namespace, prefix string

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
	id := rand.String(5)
	w := &world{whole: t, namespace: "git-" + id, prefix: "git_" + id + "_v", wanted: map[string]string{}}
	t.Logf("namespace %s", w.namespace)
	log, err := shared.MakeLog(t.Context(), "git_"+id+"_source")
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	w.cleanup(t, log.Drop)
	if err := log.Append(t.Context(), events, 7); err != nil {
		t.Fatal(err)
	}
	if err := shared.Prepare(t.Context(), w.namespace, log.URL); err != nil {
		t.Fatal(err)
	}
	w.cleanup(t, func(ctx context.Context) error {
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "nawhas-uploads-" + w.namespace}}
		if err := client.IgnoreNotFound(shared.Delete(ctx, volume)); err != nil {
			return err
		}
		return shared.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})
	})
	w.cleanup(t, w.delete)
	w.server = startArgoCD(t)
	w.git = newGitRepository(t, w.namespace, w.prefix)
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
		{w.namespace, []string{"spec", "destination", "namespace"}},
	} {
		if err := unstructured.SetNestedField(object.Object, set.value, set.path...); err != nil {
			t.Fatal(err)
		}
	}
	// Argo CD tracks by the Application's name: what another test left is not this one's.
	object.SetName(w.namespace)
	if err := shared.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	w.cleanup(w.whole, func(ctx context.Context) error { return shared.Delete(ctx, object) })
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
	told, err := readApplication(ctx, w.namespace)
	var release v1alpha1.NawhasRelease
	if err != nil || shared.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, &release) != nil {
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
	kubectl(t, "-n", argoNamespace, "annotate", "application", w.namespace, "argocd.argoproj.io/refresh=hard", "--overwrite")
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
	w.until(t, "live with "+version, func() bool {
		told, r := w.application(t), w.release(t)
		return told == application{"Synced", "Healthy", head, told.message} && r.Status.Live == version &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced)
	})
}

func (w *world) untilHealth(t *testing.T, health string) {
	t.Helper()
	w.until(t, health, func() bool { return w.application(t).health == health })
}

func (w *world) until(t *testing.T, what string, check func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cluster.Until(ctx, look, func() (bool, error) { return check(), nil }); err != nil {
		t.Fatalf("not %s after %s: %+v", what, patience, w.application(t))
	}
}

// act runs an action of config/argocd on the release.
func (w *world) act(t *testing.T, action string) {
	t.Helper()
	w.cli(t, "app", "actions", "run", w.namespace, action, "--kind", "NawhasRelease")
}

func (w *world) application(t *testing.T) application {
	t.Helper()
	found, err := readApplication(t.Context(), w.namespace)
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

// release is the object as it is; empty before Argo CD has made it.
func (w *world) release(t *testing.T) *v1alpha1.NawhasRelease {
	t.Helper()
	var release v1alpha1.NawhasRelease
	err := shared.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, &release)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return &release
}

func (w *world) patch(t *testing.T, patch string) {
	t.Helper()
	if err := shared.Patch(t.Context(), w.release(t), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
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
		if err := shared.List(t.Context(), list, client.InNamespace(w.namespace), client.HasLabels{v1alpha1.LabelRelease}); err != nil {
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

// delete removes the release and waits until the operator has let it go.
func (w *world) delete(ctx context.Context) error {
	release := &v1alpha1.NawhasRelease{}
	key := client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}
	if err := shared.Get(ctx, key, release); err != nil {
		return client.IgnoreNotFound(err)
	}
	if err := shared.Patch(ctx, release, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Delete"}}`))); err != nil {
		return err
	}
	if err := client.IgnoreNotFound(shared.Delete(ctx, release)); err != nil {
		return err
	}
	return cluster.Until(ctx, look, func() (bool, error) {
		err := shared.Get(ctx, key, release)
		return err != nil && client.IgnoreNotFound(err) == nil, nil
	})
}

func (w *world) cleanup(t *testing.T, do func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	})
}

// explain prints what one would look at.
func (w *world) explain(t *testing.T) {
	for _, args := range [][]string{
		{"-n", argoNamespace, "get", "application", w.namespace, "-o", "yaml"},
		{"-n", w.namespace, "get", "nr", "nawhas", "-o", "yaml", "--show-managed-fields"},
		{"-n", w.namespace, "get", "pods,jobs,services"},
	} {
		out, err := shared.Kubectl(t.Context(), args...)
		if err != nil {
			out = err.Error()
		}
		t.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
}
