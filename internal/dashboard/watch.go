package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// How often the API server is asked.
const (
	// again is how long after a failure it is tried again.
	again = time.Second
	// gather is how long changes are gathered before they are shown: the operator
	// makes several in a row.
	gather = 100 * time.Millisecond
)

// Watcher tells a feed of releases.
type Watcher struct {
	client    client.WithWatch
	namespace string
	feed      *Feed

	releases    collection[*v1alpha1.NawhasRelease]
	deployments collection[*appsv1.Deployment]
	podsHidden  bool
}

// NewWatcher prepares to tell the feed of the releases of a namespace, or of all
// when it is empty. It does not connect yet.
func NewWatcher(config *rest.Config, namespace string, feed *Feed) (*Watcher, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register the types of releases: %w", err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("set up the client: %w", err)
	}
	return &Watcher{client: c, namespace: namespace, feed: feed}, nil
}

// Check reads the releases once, and returns what a user has to mend first.
func (w *Watcher) Check(ctx context.Context) error {
	if err := w.client.List(ctx, &v1alpha1.NawhasReleaseList{}, client.InNamespace(w.namespace), client.Limit(1)); err != nil {
		return fmt.Errorf("list NawhasReleases: %w", err)
	}
	return nil
}

// Run goes on until the context ends. Whatever stops a watch, everything is read
// anew after a while: what is shown is never a mixture.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if err == nil || ctx.Err() != nil {
			continue // The API server ends every watch after some minutes.
		}
		w.feed.Interrupt(problemOf(err))
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// follow reads everything, and shows each change until a watch ends.
func (w *Watcher) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	released, err := w.watchReleases(ctx)
	if err != nil {
		return err
	}
	defer released.Stop()
	deployed, err := w.watchDeployments(ctx)
	if err != nil {
		return err
	}
	defer deployed.Stop()
	w.show()
	timer := time.NewTimer(gather)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-released.ResultChan():
			if !open {
				return nil
			}
			if err := w.releases.apply(event); err != nil {
				return err
			}
			timer.Reset(gather)
		case event, open := <-deployed.ResultChan():
			if !open {
				return nil
			}
			if err := w.deployments.apply(event); err != nil {
				return err
			}
			timer.Reset(gather)
		case <-timer.C:
			w.show()
		}
	}
}

func (w *Watcher) watchReleases(ctx context.Context) (watch.Interface, error) {
	var list v1alpha1.NawhasReleaseList
	if err := w.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
		return nil, fmt.Errorf("list NawhasReleases: %w", err)
	}
	w.releases = collection[*v1alpha1.NawhasRelease]{}
	for i := range list.Items {
		w.releases[client.ObjectKeyFromObject(&list.Items[i])] = &list.Items[i]
	}
	watching, err := w.client.Watch(ctx, &v1alpha1.NawhasReleaseList{}, client.InNamespace(w.namespace), from(list.ResourceVersion))
	if err != nil {
		return nil, fmt.Errorf("watch NawhasReleases: %w", err)
	}
	return watching, nil
}

// watchDeployments is for counting pods. Who may not see Deployments sees the rest.
func (w *Watcher) watchDeployments(ctx context.Context) (watch.Interface, error) {
	ours := client.HasLabels{v1alpha1.LabelRelease, v1alpha1.LabelWorkload}
	w.deployments, w.podsHidden = collection[*appsv1.Deployment]{}, false
	var list appsv1.DeploymentList
	err := w.client.List(ctx, &list, client.InNamespace(w.namespace), ours)
	if err != nil {
		return w.withoutPods(fmt.Errorf("list Deployments: %w", err))
	}
	for i := range list.Items {
		w.deployments[client.ObjectKeyFromObject(&list.Items[i])] = &list.Items[i]
	}
	watching, err := w.client.Watch(ctx, &appsv1.DeploymentList{}, client.InNamespace(w.namespace), ours, from(list.ResourceVersion))
	if err != nil {
		return w.withoutPods(fmt.Errorf("watch Deployments: %w", err))
	}
	return watching, nil
}

func (w *Watcher) withoutPods(err error) (watch.Interface, error) {
	if !apierrors.IsForbidden(err) {
		return nil, err
	}
	w.podsHidden = true
	return watch.NewFake(), nil
}

func (w *Watcher) show() {
	summaries := make([]screen.Summary, 0, len(w.releases))
	for _, release := range w.releases {
		summaries = append(summaries, screen.Of(release, w.deploymentsOf(release)))
	}
	slices.SortFunc(summaries, func(a, b screen.Summary) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	w.feed.Show(summaries, w.podsHidden)
}

func (w *Watcher) deploymentsOf(release *v1alpha1.NawhasRelease) []appsv1.Deployment {
	if w.podsHidden {
		return nil
	}
	found := []appsv1.Deployment{}
	for key, deployment := range w.deployments {
		if key.Namespace == release.Namespace && deployment.Labels[v1alpha1.LabelRelease] == release.Name {
			found = append(found, *deployment)
		}
	}
	return found
}

// from begins a watch where a list has ended.
type from string

func (f from) ApplyToList(options *client.ListOptions) {
	options.Raw = &metav1.ListOptions{ResourceVersion: string(f), AllowWatchBookmarks: true}
}

// collection are the objects of a kind.
type collection[T client.Object] map[client.ObjectKey]T

func (c collection[T]) apply(event watch.Event) error {
	switch event.Type {
	case watch.Added, watch.Modified, watch.Deleted:
	case watch.Error:
		return apierrors.FromObject(event.Object)
	default:
		return nil // A bookmark.
	}
	object, known := event.Object.(T)
	if !known {
		return fmt.Errorf("the API server sent a %T", event.Object)
	}
	if event.Type == watch.Deleted {
		delete(c, client.ObjectKeyFromObject(object))
		return nil
	}
	c[client.ObjectKeyFromObject(object)] = object
	return nil
}

func problemOf(err error) Problem {
	err = releases.Explain(err)
	if problem, known := errors.AsType[*releases.Problem](err); known {
		return Problem{What: problem.What, Advice: problem.Advice}
	}
	return Problem{What: err.Error()}
}
