package node

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// name is that of the sample, and so of every release here.
const name = "nawhas"

// Room is a namespace for a release, with a log of its own.
type Room struct {
	*cluster.Cluster
	// Namespace has the Secrets and the volume that the sample asks for.
	Namespace string
	// Prefix begins the names of the versions' databases.
	Prefix string
	Log    *cluster.Log
}

// NewRoom makes a room whose log has some events. It is gone when the test ends.
func NewRoom(t *testing.T, c *cluster.Cluster, of string, events int) *Room {
	t.Helper()
	id := rand.String(5)
	r := &Room{Cluster: c, Namespace: of + "-" + id, Prefix: of + "_" + id + "_v"}
	t.Logf("namespace %s, %d events", r.Namespace, events)
	var err error
	if r.Log, err = c.MakeLog(t.Context(), of+"_"+id+"_source"); err != nil {
		t.Fatal(err)
	}
	Cleanup(t, r.Log.Drop)
	if err := r.Log.Append(t.Context(), events, 7); err != nil {
		t.Fatal(err)
	}
	r.Prepare(t)
	Cleanup(t, r.clear)
	return r
}

// Prepare gives the namespace its Secrets and its volume, again if they were lost.
func (r *Room) Prepare(t *testing.T) {
	t.Helper()
	if err := r.Cluster.Prepare(t.Context(), r.Namespace, r.Log.URL); err != nil {
		t.Fatal(err)
	}
}

func (r *Room) clear(ctx context.Context) error {
	for _, object := range []client.Object{
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "nawhas-uploads-" + r.Namespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.Namespace}},
	} {
		if err := client.IgnoreNotFound(r.Delete(ctx, object)); err != nil {
			return fmt.Errorf("clear %s: %w", r.Namespace, err)
		}
	}
	return nil
}

// Release is the object as it is; empty while there is none.
func (r *Room) Release(t *testing.T) *v1alpha1.NawhasRelease {
	t.Helper()
	release := &v1alpha1.NawhasRelease{}
	if err := client.IgnoreNotFound(r.Get(t.Context(), r.key(), release)); err != nil {
		t.Fatal(err)
	}
	return release
}

// Change alters the object.
func (r *Room) Change(t *testing.T, how func(*v1alpha1.NawhasRelease)) {
	t.Helper()
	release := r.Release(t)
	patch := client.MergeFrom(release.DeepCopy())
	how(release)
	if err := r.Patch(t.Context(), release, patch); err != nil {
		t.Fatal(err)
	}
}

// DropRelease removes the release with its databases, whatever its policy was.
func (r *Room) DropRelease(ctx context.Context) error {
	release := &v1alpha1.NawhasRelease{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: name}}
	withDatabases := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Delete"}}`))
	if err := client.IgnoreNotFound(r.Patch(ctx, release, withDatabases)); err != nil {
		return fmt.Errorf("have the databases go with the release: %w", err)
	}
	return r.DeleteRelease(ctx)
}

// DeleteRelease removes the release, if there is one, and waits until the
// operator has let it go.
func (r *Room) DeleteRelease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	release := &v1alpha1.NawhasRelease{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: name}}
	if err := client.IgnoreNotFound(r.Delete(ctx, release)); err != nil {
		return fmt.Errorf("delete the release: %w", err)
	}
	err := cluster.Until(ctx, look, func() (bool, error) {
		err := r.Get(ctx, r.key(), release)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("wait until the operator has let the release go: %w", err)
	}
	return nil
}

func (r *Room) key() client.ObjectKey { return client.ObjectKey{Namespace: r.Namespace, Name: name} }
