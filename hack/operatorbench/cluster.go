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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// nodeName is the node that all pods are on. It is KWOK's.
const nodeName = "kwok-0"

// niceness is that of the programs which are not measured.
const niceness = "10"

// cluster is an API server with Kubernetes' own controllers and KWOK.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	client      client.Client
	kubeconfig  string
	processes   []*process
}

// process is a program that the benchmark has started.
type process struct {
	*exec.Cmd
	log *os.File
}

// begin starts a program whose output goes to a file.
func begin(log, program string, args, env []string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("make a file for the output of %s: %w", program, err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return &process{cmd, out}, nil
}

// beginBehind starts a program that others on the same processors go before: it
// is the load, not what is measured.
func beginBehind(log, program string, args []string) (*process, error) {
	return begin(log, "nice", append([]string{"-n", niceness, program}, args...), nil)
}

// end stops the program, and kills it when it does not end in time.
func (p *process) end() {
	_ = p.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(20*time.Second, func() { _ = p.Process.Kill() })
	_ = p.Wait()
	kill.Stop()
	_ = p.log.Close()
}

func startCluster(ctx context.Context, programs, kwok, crds, out string) (*cluster, error) {
	absolute, err := filepath.Abs(programs)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c := &cluster{environment: &envtest.Environment{BinaryAssetsDirectory: absolute, CRDDirectoryPaths: []string{crds}, ErrorIfCRDPathMissing: true, Scheme: scheme,
		ControlPlaneStartTimeout: 3 * time.Minute, ControlPlaneStopTimeout: time.Minute}}
	// What is measured is the operator, not how the API server shares itself out.
	// Nor is it how they collect garbage: elsewhere they have machines of their own.
	if err := os.Setenv("GOGC", "400"); err != nil {
		return nil, err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().Set("max-requests-inflight", "2000").Set("max-mutating-requests-inflight", "1000").
		// Each release has a Service, and one more while its candidate can be seen.
		Set("service-cluster-ip-range", "10.0.0.0/16")
	if c.config, err = c.environment.Start(); err != nil {
		return nil, fmt.Errorf("start an API server (make cluster-programs builds it): %w", err)
	}
	c.config.QPS, c.config.Burst = 2000, 2000
	if c.client, err = client.New(c.config, client.Options{Scheme: scheme}); err != nil {
		return c, fmt.Errorf("connect to the API server: %w", err)
	}
	c.kubeconfig = filepath.Join(out, "operator.kubeconfig")
	if err := os.WriteFile(c.kubeconfig, c.environment.KubeConfig, 0o600); err != nil {
		return c, fmt.Errorf("write the kubeconfig: %w", err)
	}
	if err := c.startControllers(absolute, kwok, out); err != nil {
		return c, err
	}
	err = c.makeNode(ctx)
	return c, err
}

func (c *cluster) startControllers(programs, kwok, out string) error {
	stages := filepath.Join(out, "operator-stages.yaml")
	if err := os.WriteFile(stages, []byte(stagesOfPods), 0o600); err != nil {
		return fmt.Errorf("write KWOK's stages: %w", err)
	}
	for _, program := range []struct {
		name, path string
		args       []string
	}{
		{"controllers", filepath.Join(programs, "kube-controller-manager"), []string{
			"--controllers=deployment-controller,replicaset-controller,job-controller,endpointslice-controller,garbage-collector-controller",
			"--kubeconfig=" + c.kubeconfig, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-deployment-syncs=10",
		}},
		{"scheduler", filepath.Join(programs, "kube-scheduler"), []string{
			"--kubeconfig=" + c.kubeconfig, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=2000",
		}},
		{"kwok", kwok, []string{"--kubeconfig=" + c.kubeconfig, "--manage-single-node=" + nodeName, "--config=" + stages}},
	} {
		started, err := beginBehind(filepath.Join(out, "operator-"+program.name+".log"), program.path, program.args)
		if err != nil {
			return err
		}
		c.processes = append(c.processes, started)
	}
	return nil
}

func (c *cluster) makeNode(ctx context.Context) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{"kubernetes.io/hostname": nodeName}}}
	if err := c.client.Create(ctx, node); err != nil {
		return fmt.Errorf("make the node: %w", err)
	}
	plenty := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10000"), corev1.ResourceMemory: resource.MustParse("10Ti"), corev1.ResourcePods: resource.MustParse("100000")}
	node.Status = corev1.NodeStatus{Capacity: plenty, Allocatable: plenty, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(), Reason: "KubeletReady"}}}
	if err := c.client.Status().Update(ctx, node); err != nil {
		return fmt.Errorf("make the node ready: %w", err)
	}
	// The API server taints a new node until a controller sees that it is ready.
	node.Spec.Taints = nil
	if err := c.client.Update(ctx, node); err != nil {
		return fmt.Errorf("take the taint from the node: %w", err)
	}
	return nil
}

// collect has the API server collect its garbage, and waits for it. Its profiles
// are served unless it is told otherwise.
func (c *cluster) collect(ctx context.Context) error {
	server, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	if _, err := server.RESTClient().Get().AbsPath("/debug/pprof/heap").Param("gc", "1").DoRaw(ctx); err != nil {
		return fmt.Errorf("have the API server collect its garbage: %w", err)
	}
	return nil
}

func (c *cluster) stop() {
	for _, p := range c.processes {
		p.end()
	}
	_ = c.environment.Stop()
}

// stagesOfPods are KWOK's own fast ones, but that the pod of a Job ends when the
// benchmark has done what its program would.
const stagesOfPods = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-initialize}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector: {matchLabels: {never: matches}}
  next: {}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Pending]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Ready}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: ContainersReady}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        imageID: "sha256:0"
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      {{ $podIPs := PodIPsWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
      podIP: {{ index $podIPs 0 | Quote }}
      podIPs: [{ip: {{ index $podIPs 0 | Quote }}}]
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-complete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchAnnotations: {bench.nawhas.com/done: "true"}
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Running]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        imageID: "sha256:0"
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        state: {terminated: {exitCode: 0, finishedAt: {{ $now | Quote }}, reason: Completed, startedAt: {{ $now | Quote }}}}
      {{ end }}
      phase: Succeeded
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: Exists}
  next: {delete: true}
`
