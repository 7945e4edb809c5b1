// Package cluster is what the demo and the end-to-end tests do to a cluster:
// install the operator, give a namespace its Secrets and storage, and read
// through a Service.
//
// It takes the cluster as hack/cluster.sh hands it over, by environment
// variables, and starts none itself.
package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Names that the manifests below config/ use.
const (
	OperatorNamespace = "nawhas-operator"
	Operator          = "nawhas-operator"
	SourceSecret      = "nawhas-source"
	DatabasesSecret   = "nawhas-databases"
	SecretKey         = "url"
	UploadsClaim      = "nawhas-uploads"
)

const storageOwner = 65532 // the account of the application's pods

// Cluster is a cluster with a Postgres that its pods reach.
type Cluster struct {
	client.WithWatch
	// Root is the folder of the repository.
	Root string
	// SourceURL, DatabasesURL and AuditURL are connection strings: of the log's
	// owner, of the account that makes databases, and of one that reads all.
	SourceURL, DatabasesURL, AuditURL string

	volumes string // where the local node keeps volumes; empty elsewhere
}

// Connect opens the cluster that the environment describes. Root is the folder
// of the repository.
func Connect(root string) (*Cluster, error) {
	c := &Cluster{
		Root: root, SourceURL: os.Getenv("NAWHAS_SOURCE_URL"), DatabasesURL: os.Getenv("NAWHAS_DATABASES_URL"),
		AuditURL: os.Getenv("NAWHAS_AUDIT_URL"), volumes: os.Getenv("NAWHAS_NODE_VOLUMES"),
	}
	if c.SourceURL == "" || c.DatabasesURL == "" || c.AuditURL == "" || os.Getenv("KUBECONFIG") == "" {
		return nil, errors.New("no cluster: start this with `hack/cluster.sh run`")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register the API's types: %w", err)
	}
	c.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("open the cluster: %w", err)
	}
	return c, nil
}

// Local reports whether this is the repository's own node, whose Services this
// machine reaches directly.
func (c *Cluster) Local() bool { return c.volumes != "" }

// KubectlPath is the kubectl to use, seen from the repository's folder: its
// own, where it was built, or the machine's.
func (c *Cluster) KubectlPath() string {
	own := filepath.Join("bin", "kubernetes", "kubectl")
	if _, err := os.Stat(filepath.Join(c.Root, own)); err == nil {
		return own
	}
	return "kubectl"
}

// Kubectl runs kubectl and returns what it prints.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.KubectlPath(), args...)
	cmd.Dir = c.Root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// InstallOperator applies config/default and waits until the operator runs.
func (c *Cluster) InstallOperator(ctx context.Context) error {
	if _, err := c.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", "config/default"); err != nil {
		return fmt.Errorf("install the operator: %w", err)
	}
	if err := c.noteImage(ctx); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "-n", OperatorNamespace, "rollout", "status", "deployment", Operator, "--timeout", "3m"); err != nil {
		return fmt.Errorf("wait for the operator: %w", err)
	}
	return nil
}

// noteImage replaces the operator's pod when the image was built anew under
// the same name, and leaves it alone otherwise.
func (c *Cluster) noteImage(ctx context.Context) error {
	content, err := os.ReadFile(filepath.Join(c.Root, "bin", "images", "manager.tar"))
	if err != nil {
		return fmt.Errorf("read the operator's image: %w", err)
	}
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"nawhas.com/image":"%x"}}}}}`, sha256.Sum256(content))
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: Operator}}
	if err := c.Patch(ctx, deployment, client.RawPatch(types.StrategicMergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("note the operator's image: %w", err)
	}
	return nil
}

// Prepare makes what a release expects in its namespace: the two Secrets and,
// on the local node, which has no provisioner of storage, a volume for the
// uploads.
func (c *Cluster) Prepare(ctx context.Context, namespace, sourceURL string) error {
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	if err := c.put(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}}); err != nil {
		return err
	}
	for name, url := range map[string]string{SourceSecret: sourceURL, DatabasesSecret: c.DatabasesURL} {
		if err := c.put(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			StringData: map[string]string{SecretKey: url},
		}); err != nil {
			return err
		}
	}
	if !c.Local() {
		return nil
	}
	return c.prepareVolume(ctx, namespace)
}

func (c *Cluster) prepareVolume(ctx context.Context, namespace string) error {
	folder := filepath.Join(c.volumes, namespace)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("make the folder of uploads: %w", err)
	}
	if err := os.Chown(folder, storageOwner, storageOwner); err != nil {
		return fmt.Errorf("hand over the folder of uploads: %w", err)
	}
	return c.put(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "nawhas-uploads-" + namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}},
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: UploadsClaim},
		},
	})
}

// put creates the object, or leaves one of that name as it is unless it is a
// Secret, whose connection string may be a new one.
func (c *Cluster) put(ctx context.Context, object client.Object) error {
	err := c.Create(ctx, object)
	if client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("create %s: %w", object.GetName(), err)
	}
	secret, isSecret := object.(*corev1.Secret)
	if err == nil || !isSecret {
		return nil
	}
	if err := c.Update(ctx, secret); err != nil {
		return fmt.Errorf("update %s: %w", object.GetName(), err)
	}
	return nil
}

// Until calls check until it reports success, fails, or the context ends.
func Until(ctx context.Context, interval time.Duration, check func() (bool, error)) error {
	for {
		done, err := check()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}
