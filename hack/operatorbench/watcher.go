package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// watcher follows the releases, and has the programs of their pods done.
type watcher struct {
	*cluster
	*databases

	programs workqueue.TypedRateLimitingInterface[client.ObjectKey]
	pods     crcache.Cache

	mu       sync.Mutex
	changed  *sync.Cond
	releases map[string]*v1alpha1.NawhasRelease
}

func watch(ctx context.Context, c *cluster, d *databases) (*watcher, error) {
	w := &watcher{cluster: c, databases: d, releases: map[string]*v1alpha1.NawhasRelease{},
		programs: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[client.ObjectKey]())}
	w.changed = sync.NewCond(&w.mu)
	steps, err := labels.NewRequirement(v1alpha1.LabelStage, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	w.pods, err = crcache.New(c.config, crcache.Options{Scheme: c.client.Scheme(), DefaultTransform: crcache.TransformStripManagedFields(),
		ByObject: map[client.Object]crcache.ByObject{&corev1.Pod{}: {Label: labels.NewSelector().Add(*steps)}}})
	if err != nil {
		return nil, fmt.Errorf("watch the cluster: %w", err)
	}
	if err := w.listen(ctx, &v1alpha1.NawhasRelease{}, w.noteRelease); err != nil {
		return nil, err
	}
	if err := w.listen(ctx, &corev1.Pod{}, w.notePod); err != nil {
		return nil, err
	}
	go func() { _ = w.pods.Start(ctx) }()
	for range 4 {
		go w.work(ctx)
	}
	return w, nil
}

func (w *watcher) listen(ctx context.Context, kind client.Object, note func(any)) error {
	informer, err := w.pods.GetInformer(ctx, kind, crcache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, object any) { note(object) }})
	return err
}

func (w *watcher) noteRelease(object any) {
	release, ok := object.(*v1alpha1.NawhasRelease)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.releases[release.Name] = release
	w.changed.Broadcast()
}

func (w *watcher) notePod(object any) {
	pod, ok := object.(*corev1.Pod)
	if ok && pod.Status.Phase == corev1.PodRunning && pod.Annotations[doneAnnotation] == "" && pod.DeletionTimestamp.IsZero() {
		w.programs.Add(client.ObjectKeyFromObject(pod))
	}
}

// are counts the releases that are as wanted.
func (w *watcher) are(wanted func(*v1alpha1.NawhasRelease) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count(wanted)
}

func (w *watcher) count(wanted func(*v1alpha1.NawhasRelease) bool) int {
	n := 0
	for _, release := range w.releases {
		if wanted(release) {
			n++
		}
	}
	return n
}

// awaitOne waits until a release is as wanted.
func (w *watcher) awaitOne(ctx context.Context, name, what string, wanted func(*v1alpha1.NawhasRelease) bool) error {
	return w.await(ctx, 1, what, func(r *v1alpha1.NawhasRelease) bool { return r.Name == name && wanted(r) })
}

// await waits until at least n releases are as wanted.
func (w *watcher) await(ctx context.Context, n int, what string, wanted func(*v1alpha1.NawhasRelease) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(ctx, w.changed.Broadcast)()
	tell := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		found := w.count(wanted)
		if found >= n {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait until %d releases are %s (%d are): %w", n, what, found, ctx.Err())
		}
		if time.Since(tell) > 30*time.Second {
			fmt.Printf("  - %d of %d releases are %s\n", found, n, what)
			tell = time.Now()
		}
		w.changed.Wait()
	}
}

func isLive(version string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		return r.Spec.Version == version && r.Status.Live == version && r.Status.ObservedGeneration == r.Generation &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced) && meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady)
	}
}

func reasonOf(r *v1alpha1.NawhasRelease, condition string) string {
	if found := meta.FindStatusCondition(r.Status.Conditions, condition); found != nil {
		return found.Reason
	}
	return ""
}
