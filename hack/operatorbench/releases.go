package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

const (
	namespace    = "bench"
	firstVersion = "3.1.2"
	nextVersion  = "3.2.0"
	// patience is how long releases may take that should not take long.
	patience = 40 * time.Minute
)

func nameOf(i int) string { return fmt.Sprintf("release-%04d", i) }

// sourceOf is the source of a release.
func (b *bench) sourceOf(i int) int { return i % b.sources }

// makeSecrets makes the namespace and the Secrets that releases name.
func (b *bench) makeSecrets(ctx context.Context) error {
	if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return fmt.Errorf("make the namespace: %w", err)
	}
	urls := map[string]string{"databases": b.databasesURL()}
	for i := range b.sources {
		urls["source-"+sourceSuffix(i)] = b.sourceURL(i)
	}
	for name, url := range urls {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: map[string]string{"url": url}}
		if err := b.client.Create(ctx, secret); err != nil {
			return fmt.Errorf("make Secret %s: %w", name, err)
		}
	}
	return nil
}

func sourceSuffix(i int) string { return fmt.Sprintf("%03d", i) }

// aRelease has what a release of Nawhas has: an API with a Service and probes.
func (b *bench) aRelease(i int) *v1alpha1.NawhasRelease {
	key := func(name string) v1alpha1.ConnectionSpec {
		return v1alpha1.ConnectionSpec{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "url"}}
	}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstrOf(8080)}}}
	return &v1alpha1.NawhasRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: nameOf(i)},
		Spec: v1alpha1.NawhasReleaseSpec{
			Version:   firstVersion,
			Image:     v1alpha1.ImageSpec{Repository: "ghcr.io/nawhas/api"},
			Source:    v1alpha1.SourceSpec{Connection: key("source-" + sourceSuffix(b.sourceOf(i)))},
			Databases: v1alpha1.DatabasesSpec{Connection: key("databases"), Prefix: fmt.Sprintf("r%04d_v", i)},
			Workloads: []v1alpha1.Workload{{
				Name:     "api",
				Replicas: ptr.To[int32](1),
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "api", Args: []string{"serve"}, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, ReadinessProbe: probe, LivenessProbe: probe,
					Env: []corev1.EnvVar{{Name: "APP_DATABASE", Value: "$(NAWHAS_DATABASE_NAME)"}, {Name: "APP_ENV", Value: "production"}},
				}}}},
				Service: &v1alpha1.WorkloadService{Name: nameOf(i), Ports: []v1alpha1.ServicePort{{Port: 80, TargetPort: ptr.To(intstrOf(8080))}}},
			}},
		},
	}
}

// each does something for each of some releases, a few at a time, and returns
// the first error.
func each(releases []int, do func(i int) error) error {
	var wg sync.WaitGroup
	work, failed := make(chan int), make(chan error, len(releases))
	for range 8 {
		wg.Go(func() {
			for i := range work {
				if err := do(i); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, i := range releases {
		work <- i
	}
	close(work)
	wg.Wait()
	close(failed)
	return <-failed
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// change patches a release as a user would.
func (b *bench) change(ctx context.Context, i int, patch string) error {
	release := &v1alpha1.NawhasRelease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: nameOf(i)}}
	if err := b.client.Patch(ctx, release, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("change %s: %w", release.Name, err)
	}
	return nil
}
