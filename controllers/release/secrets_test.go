package release

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The caches of the manager share Secrets out among them by a label. A Secret is
// found whichever of them has it.
func TestASecretIsFoundWhateverItsLabels(t *testing.T) {
	w := newWorld(t)
	patient, _ := cached(t, w.namespace)
	options := SecretsCacheOptions([]string{w.namespace})
	options.Scheme = cluster.Scheme()
	others, err := cache.New(clusterConfig, options)
	if err != nil {
		t.Fatal(err)
	}
	running(t, others.Start)
	secrets := &Secrets{Cached: patient, Metadata: others, Live: cluster}

	for name, labels := range map[string]map[string]string{"theirs": nil, "labelled": {v1alpha1.LabelRelease: "nawhas"}} {
		key := client.ObjectKey{Namespace: w.namespace, Name: name}
		for what, read := range map[string]func(context.Context, client.ObjectKey) (*corev1.Secret, error){"named": secrets.Named, "own": secrets.Own} {
			if _, err := read(t.Context(), key); !apierrors.IsNotFound(err) {
				t.Fatalf("%s, %s: found before it was made: %v", name, what, err)
			}
		}
		made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels}, Data: map[string][]byte{"url": []byte("postgres://a")}}
		if err := cluster.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		for what, read := range map[string]func(context.Context, client.ObjectKey) (*corev1.Secret, error){"named": secrets.Named, "own": secrets.Own} {
			found, err := read(t.Context(), key)
			for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); found, err = read(t.Context(), key) {
				time.Sleep(10 * time.Millisecond) // a watch has yet to tell
			}
			if err != nil || string(found.Data["url"]) != "postgres://a" {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		// It is in neither cache for a moment, or in the wrong one.
		made.Labels = map[string]string{v1alpha1.LabelRelease: "nawhas"}
		if labels != nil {
			made.Labels = nil
		}
		if err := cluster.Update(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
			if found, err := secrets.Own(t.Context(), key); err != nil || string(found.Data["url"]) != "postgres://a" {
				t.Fatalf("%s: as its labels change: %v", name, err)
			}
		}
	}
}
