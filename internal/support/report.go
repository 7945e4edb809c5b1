package support

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/releases"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// children are the kinds that the operator makes, but for Secrets.
var children = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "ControllerRevision"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Version: "v1", Kind: "Pod"},
	{Version: "v1", Kind: "Service"},
}

// Bounds of a log in the bundle.
const (
	lastLines = 2000
	lastBytes = 1 << 20
)

// Write makes the bundle of a release. It returns what could not be read, a
// line each; an error means that there is no bundle.
func Write(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, out io.Writer, now time.Time) ([]string, error) {
	b := newBundle(out, "nawhas-report-"+release.Name, now)
	steps := []func(context.Context, *releases.Cluster, *v1alpha1.NawhasRelease, *bundle) error{
		addStatus, addRelease, addChildren, addEvents, addLogs, addOperator,
	}
	for _, step := range steps {
		if err := step(ctx, c, release, b); err != nil {
			return nil, err
		}
	}
	return b.failures, b.close()
}

func addStatus(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, b *bundle) error {
	deployments, err := c.Deployments(ctx, release.Name)
	if err != nil {
		b.missed("Deployments", err)
	}
	const width = 120
	lines := screen.Tree(screen.Of(release, deployments), b.now, width)
	about := fmt.Sprintf("made at %s by kubectl-nawhas %s\n\n", b.now.UTC().Format(time.RFC3339), buildinfo.Commit)
	return b.add("status.txt", about+Redact(strings.Join(lines, "\n")+"\n"))
}

// addRelease reads the object as the cluster has it, with fields that this
// program does not know.
func addRelease(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, b *bundle) error {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NawhasRelease"))
	if err := c.Get(ctx, client.ObjectKeyFromObject(release), object); err != nil {
		return fmt.Errorf("read NawhasRelease %s: %w", release.Name, err)
	}
	return b.addObjects("release.yaml", []unstructured.Unstructured{*object})
}

func addChildren(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, b *bundle) error {
	for _, kind := range children {
		list := listOf(kind)
		if err := c.List(ctx, list, client.InNamespace(release.Namespace), client.MatchingLabels{v1alpha1.LabelRelease: release.Name}); err != nil {
			b.missed(kind.Kind+"s", err)
			continue
		}
		if err := b.addObjects(strings.ToLower(kind.Kind)+"s.yaml", list.Items); err != nil {
			return err
		}
	}
	return nil
}

// addEvents takes those of the release and of objects whose names begin with its.
func addEvents(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, b *bundle) error {
	var list corev1.EventList
	if err := c.List(ctx, &list, client.InNamespace(release.Namespace)); err != nil {
		b.missed("Events", err)
		return nil
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	var text strings.Builder
	for _, event := range list.Items {
		if name := event.InvolvedObject.Name; name == release.Name || strings.HasPrefix(name, release.Name+"-") {
			_, _ = fmt.Fprintf(&text, "%s %s %s %s/%s: %s\n", when(event).UTC().Format(time.RFC3339), event.Type, event.Reason,
				event.InvolvedObject.Kind, name, strings.Join(strings.Fields(event.Message), " "))
		}
	}
	return b.add("events.txt", Redact(text.String()))
}

func when(event corev1.Event) time.Time {
	for _, t := range []time.Time{event.LastTimestamp.Time, event.EventTime.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return event.CreationTimestamp.Time
}

// addLogs takes those of Jobs and followers. What the workloads print is the
// application's own, and is left where it is.
func addLogs(ctx context.Context, c *releases.Cluster, release *v1alpha1.NawhasRelease, b *bundle) error {
	pods, err := c.Pods(ctx, release.Name, nil)
	if err != nil {
		b.missed("pods for logs", err)
		return nil
	}
	for i := range pods {
		if pods[i].Labels[v1alpha1.LabelStage] == "" {
			continue
		}
		if err := b.addLog(ctx, c, &pods[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *bundle) addLog(ctx context.Context, c *releases.Cluster, pod *corev1.Pod) error {
	stream, err := c.Logs(ctx, pod.Name, &corev1.PodLogOptions{Timestamps: true, TailLines: ptr.To[int64](lastLines), LimitBytes: ptr.To[int64](lastBytes)})
	if err != nil {
		b.missed("logs", err)
		return nil
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(stream)
	if err != nil {
		b.missed("logs of pod "+pod.Name, err)
	}
	return b.add("logs/"+pod.Name+".log", Redact(string(text)))
}

// addOperator takes the operator's Deployments, whose images tell its version.
// Few people may read them, so that their absence is no failure.
func addOperator(ctx context.Context, c *releases.Cluster, _ *v1alpha1.NawhasRelease, b *bundle) error {
	list := listOf(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	if err := c.List(ctx, list, releases.Operators); err != nil {
		b.missed("the operator's Deployment", err)
		return nil
	}
	return b.addObjects("operator.yaml", list.Items)
}

func listOf(kind schema.GroupVersionKind) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	kind.Kind += "List"
	list.SetGroupVersionKind(kind)
	return list
}

func (b *bundle) addObjects(name string, objects []unstructured.Unstructured) error {
	var text strings.Builder
	for i := range objects {
		redactObject(&objects[i])
		encoded, err := yaml.Marshal(objects[i].Object)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		text.WriteString("---\n")
		text.Write(encoded)
	}
	return b.add(name, text.String())
}
