//go:build argocd

// Package argocd has a real Argo CD keep a release as a Git repository says: to
// the next version, back by git revert, and through what people do by hand. It
// must tell truly how the release is, and neither of the two may undo what the
// other does.
//
// Start it with `make test-argocd`.
package argocd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/test/node"
)

const (
	look = 200 * time.Millisecond
	// quiet is how long nothing may change when nothing is to be done. Argo CD
	// compares every five seconds here.
	quiet = 15 * time.Second
)

const (
	first    = "3.1.2"
	next     = "3.2.0"
	manifest = "samples/nawhasrelease.yaml"
)

var shared *cluster.Cluster

func TestMain(m *testing.M) {
	var err error
	if shared, err = node.Connect(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return node.Kubectl(t, shared, args...)
}

// TestArgoCD is one story in this order; what fails ends it.
func TestArgoCD(t *testing.T) {
	if err := shared.InstallOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, chapter := range []struct {
		title string
		tell  func(*testing.T, *world)
	}{
		{"what Git says goes live", goesLive},
		{"nobody undoes what the other does", isQuiet},
		{"what the operator makes is not Argo CD's", childrenAreUntracked},
		{"the next version awaits approval, and the action promote lets it go", awaitsApproval},
		{"git revert goes back", goesBack},
		{"a version set by hand is set back", selfHeals},
		{"a hold is kept, and the action resume ends it", isHeld},
		{"only what people must mend is Degraded", isDegraded},
		{"what is deleted by hand comes back", isRestored},
		{"pruning takes what is Argo CD's, and no release", prunes},
		{"and all is quiet at the end", isQuiet},
	} {
		if !t.Run(chapter.title, func(t *testing.T) { chapter.tell(t, w) }) {
			w.explain(t)
			t.FailNow()
		}
	}
	if lies := w.lies(); len(lies) > 0 {
		t.Errorf("Argo CD told what was not so:\n%s", strings.Join(lies, "\n"))
	}
}

func goesLive(t *testing.T, w *world) {
	w.createApplication(t)
	w.untilHealth(t, "Progressing")
	w.untilLive(t, first)
}

// isQuiet wants nothing to change: not the object that both write to, and not
// what Argo CD says of it.
func isQuiet(t *testing.T, w *world) {
	w.untilHealth(t, "Healthy")
	before := w.Release(t)
	for end := time.Now().Add(quiet); time.Now().Before(end); time.Sleep(look) {
		if now := w.application(t); now.sync != "Synced" || now.health != "Healthy" {
			t.Fatalf("it is %s and %s", now.sync, now.health)
		}
	}
	if after := w.Release(t); after.Generation != before.Generation || !maps.Equal(after.Annotations, before.Annotations) {
		t.Errorf("the release was written to: generation %d, then %d; annotations %v, then %v",
			before.Generation, after.Generation, before.Annotations, after.Annotations)
	}
}

// childrenAreUntracked looks for what Argo CD goes by to prune.
func childrenAreUntracked(t *testing.T, w *world) {
	children := w.children(t)
	if len(children) < 5 {
		t.Fatalf("the release has only %d children", len(children))
	}
	for _, child := range children {
		for _, key := range append(keysOf(child.Labels), keysOf(child.Annotations)...) {
			if strings.Contains(key, "argocd") || key == "app.kubernetes.io/instance" {
				t.Errorf("%s has %s", child.Name, key)
			}
		}
		if len(child.OwnerReferences) == 0 {
			t.Errorf("%s has no owner", child.Name)
		}
	}
}

func awaitsApproval(t *testing.T, w *world) {
	w.git.edit(t, manifest, "version: "+first, "version: "+next)
	w.git.edit(t, manifest, "  # These are the defaults", "  promotion: {mode: Manual}\n  # These are the defaults")
	w.push(t, "Release "+next)
	w.untilHealth(t, "Progressing")
	w.untilHealth(t, "Suspended")
	if live := w.Release(t).Status.Live; live != first {
		t.Fatalf("version %s is live without approval", live)
	}
	if offered := w.cli(t, "app", "actions", "list", w.Namespace, "--kind", "NawhasRelease"); !strings.Contains(offered, "promote") {
		t.Errorf("promote is not offered:\n%s", offered)
	}
	w.act(t, "promote")
	w.untilLive(t, next)
	isQuiet(t, w)
}

func goesBack(t *testing.T, w *world) {
	w.git.run(t, "revert", "--no-edit", "HEAD")
	w.refresh(t)
	w.untilLive(t, first)
}

func selfHeals(t *testing.T, w *world) {
	w.Change(t, func(r *v1alpha1.NawhasRelease) { r.Spec.Version = next })
	node.Until(t, "set back", func(context.Context) bool { return w.Release(t).Spec.Version == first })
	w.untilLive(t, first)
}

func isHeld(t *testing.T, w *world) {
	w.act(t, "hold")
	w.git.edit(t, manifest, "version: "+first, "version: "+next)
	w.push(t, "Release "+next)
	w.untilHealth(t, "Suspended")
	for end := time.Now().Add(quiet); time.Now().Before(end); time.Sleep(look) {
		if r := w.Release(t); r.Status.Live != first || r.Status.Hold != first {
			t.Fatalf("version %s is live, held is %q", r.Status.Live, r.Status.Hold)
		}
	}
	w.act(t, "resume")
	w.untilLive(t, next)
}

func isDegraded(t *testing.T, w *world) {
	kubectl(t, "-n", w.Namespace, "delete", "secret", cluster.SourceSecret)
	w.untilHealth(t, "Degraded")
	w.Prepare(t)
	w.untilLive(t, next)
}

func isRestored(t *testing.T, w *world) {
	before := w.children(t)
	kubectl(t, "-n", w.Namespace, "delete", "deployments,services", "-l", "releases.nawhas.com/release=nawhas", "--wait=false")
	node.Until(t, "restored", func(context.Context) bool {
		for _, old := range before {
			replaced := old.Kind != "Deployment" && old.Kind != "Service"
			for _, now := range w.children(t) {
				replaced = replaced || now.Kind == old.Kind && now.Name == old.Name && now.UID != old.UID
			}
			if !replaced {
				return false
			}
		}
		return true
	})
	w.untilLive(t, next)
}

// prunes takes an object that Git no longer has, and leaves the release when
// somebody deletes it from Git.
func prunes(t *testing.T, w *world) {
	w.git.write(t, "deploy/notice.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notice}\n")
	w.git.edit(t, "deploy/kustomization.yaml", "resources:\n", "resources:\n  - notice.yaml\n")
	w.push(t, "Add a notice")
	w.untilLive(t, next)
	kubectl(t, "-n", w.Namespace, "get", "configmap", "notice")
	before := w.children(t)

	w.git.run(t, "revert", "--no-edit", "HEAD")
	w.refresh(t)
	node.Until(t, "pruned", func(context.Context) bool {
		return kubectl(t, "-n", w.Namespace, "get", "configmap", "notice", "--ignore-not-found") == ""
	})
	w.git.edit(t, "samples/kustomization.yaml", "  - nawhasrelease.yaml\n", "")
	w.push(t, "Lose the release")
	node.Until(t, "missed in Git", func(context.Context) bool { return w.application(t).sync == "OutOfSync" })
	time.Sleep(quiet)
	if r := w.Release(t); r.DeletionTimestamp != nil || r.Status.Live != next {
		t.Fatalf("the release goes with its manifest: live %q, deleted at %v", r.Status.Live, r.DeletionTimestamp)
	}
	if after := w.children(t); !slices.EqualFunc(before, after, func(a, b metav1.PartialObjectMetadata) bool { return a.UID == b.UID }) {
		t.Errorf("its objects are others: %v, then %v", before, after)
	}
	w.git.run(t, "revert", "--no-edit", "HEAD")
	w.refresh(t)
	w.untilLive(t, next)
}
