package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

// controllers are those of Kubernetes that releases rely on.
const controllers = "job-controller,deployment-controller,replicaset-controller,endpointslice-controller,garbage-collector-controller,namespace-controller"

// cluster is a real API server with the real controllers, and without nodes.
type cluster struct {
	config      *rest.Config
	client      client.Client
	environment *envtest.Environment
	manager     *exec.Cmd
}

func startCluster(root, folder string) (*cluster, error) {
	if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin", "kubernetes")); err != nil {
		return nil, fmt.Errorf("name the Kubernetes programs: %w", err)
	}
	c := &cluster{environment: &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(root, "config", "crd", "bases")}, ErrorIfCRDPathMissing: true}}
	c.environment.ControlPlane.Etcd = &envtest.Etcd{}
	c.environment.ControlPlane.Etcd.Configure().Append("unsafe-no-fsync")
	var err error
	if c.config, err = c.environment.Start(); err != nil {
		return nil, fmt.Errorf("start an API server (make cluster-programs builds it): %w", err)
	}
	c.config.QPS, c.config.Burst = 1000, 1000
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	if c.client, err = client.New(c.config, client.Options{Scheme: scheme}); err != nil {
		c.stop()
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	// Pods of a node that nobody knows are behind no Service.
	if err := c.client.Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name}}); err != nil {
		c.stop()
		return nil, fmt.Errorf("make the node: %w", err)
	}
	if err := c.startControllers(root, folder); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) startControllers(root, folder string) error {
	user, err := c.environment.AddUser(envtest.User{Name: "controllers", Groups: []string{"system:masters"}}, c.config)
	if err != nil {
		return fmt.Errorf("make an account for the controllers: %w", err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return fmt.Errorf("make an account for the controllers: %w", err)
	}
	path := filepath.Join(folder, "controllers.kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return fmt.Errorf("write the controllers' account: %w", err)
	}
	log, err := os.Create(filepath.Join(folder, "controllers.log"))
	if err != nil {
		return fmt.Errorf("open the controllers' log: %w", err)
	}
	defer func() { _ = log.Close() }()
	c.manager = exec.Command(filepath.Join(root, "bin", "kubernetes", "kube-controller-manager"), "--kubeconfig", path, "--controllers", controllers,
		"--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000")
	c.manager.Stdout, c.manager.Stderr = log, log
	c.manager.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.manager.Start(); err != nil {
		return fmt.Errorf("start the controllers: %w", err)
	}
	return nil
}

func (c *cluster) stop() {
	if c.manager != nil {
		_ = c.manager.Process.Kill()
		_ = c.manager.Wait()
	}
	_ = c.environment.Stop()
}

// until asks again and again until the answer is yes, or the time is over.
func until(ctx context.Context, patience time.Duration, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	var last error
	for {
		ok, err := done()
		if err == nil && ok {
			return nil
		}
		if err != nil {
			last = err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
		if time.Now().After(deadline) {
			if last != nil {
				return fmt.Errorf("not %s after %s: %w", what, patience, last)
			}
			return fmt.Errorf("not %s after %s", what, patience)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
