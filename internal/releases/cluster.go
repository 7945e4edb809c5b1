package releases

import (
	"context"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// FieldManager owns the fields that a person sets through this package.
const FieldManager = "kubectl-nawhas"

// Operators finds the operator's own Deployments and pods, however it was
// installed and whatever it is called.
var Operators = client.MatchingLabels{"app.kubernetes.io/part-of": "nawhas-operator"}

// Cluster is one namespace of a cluster. Its methods may be called at the same
// time. Their errors are to be passed through Explain.
type Cluster struct {
	client.Client
	Namespace string

	pods corev1client.PodsGetter
}

// Open prepares to talk to the cluster. It does not connect yet.
func Open(config *rest.Config, namespace string) (*Cluster, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register Kubernetes' types: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the types of releases: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("set up the client: %w", err)
	}
	pods, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("set up the client for logs: %w", err)
	}
	return &Cluster{Client: c, Namespace: namespace, pods: pods}, nil
}

// Find reads the release of that name, or the namespace's only one when the
// name is empty.
func (c *Cluster) Find(ctx context.Context, name string) (*v1alpha1.NawhasRelease, error) {
	if name != "" {
		release := &v1alpha1.NawhasRelease{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, release); err != nil {
			return nil, fmt.Errorf("read NawhasRelease %s: %w", name, err)
		}
		return release, nil
	}
	all, err := c.All(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, notOne(c.Namespace, all)
	}
	return &all[0], nil
}

// All lists the releases of the namespace.
func (c *Cluster) All(ctx context.Context) ([]v1alpha1.NawhasRelease, error) {
	var list v1alpha1.NawhasReleaseList
	if err := c.List(ctx, &list, client.InNamespace(c.Namespace)); err != nil {
		return nil, fmt.Errorf("list NawhasReleases: %w", err)
	}
	return list.Items, nil
}

// Deployments are those of the release's workloads and followers.
func (c *Cluster) Deployments(ctx context.Context, release string) ([]appsv1.Deployment, error) {
	var list appsv1.DeploymentList
	if err := c.List(ctx, &list, c.of(release)...); err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	if list.Items == nil {
		list.Items = []appsv1.Deployment{}
	}
	return list.Items, nil
}

// Jobs are those of the release's steps.
func (c *Cluster) Jobs(ctx context.Context, release string) ([]batchv1.Job, error) {
	var list batchv1.JobList
	if err := c.List(ctx, &list, c.of(release)...); err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	return list.Items, nil
}

// Pods are those of the release's Jobs and Deployments that carry the labels.
func (c *Cluster) Pods(ctx context.Context, release string, labels client.MatchingLabels) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.List(ctx, &list, append(c.of(release), labels)...); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return list.Items, nil
}

func (c *Cluster) of(release string) []client.ListOption {
	return []client.ListOption{client.InNamespace(c.Namespace), client.MatchingLabels{v1alpha1.LabelRelease: release}}
}

// Logs opens what a pod's container printed. The caller closes it.
func (c *Cluster) Logs(ctx context.Context, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	stream, err := c.pods.Pods(c.Namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the logs of pod %s: %w", pod, err)
	}
	return stream, nil
}
