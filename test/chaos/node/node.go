// Package node plays a Kubernetes node for one namespace: it runs the containers
// of its pods as processes of this machine, tells the API server how they are,
// and leads clients to the endpoints of Services, as a kubelet and a kube-proxy
// do. All else (Jobs, Deployments, EndpointSlices) is left to the real
// controllers.
//
// A pod's process is nothing but the program: there are no images, no limits, no
// volumes and no preStop hooks. A pod with the address 10.a.b.c listens on
// 127.a.b.c, which needs no rights.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Name is what the node is called in the cluster. All namespaces share it.
const Name = "chaos"

// look is between two looks at the pods and endpoints.
const look = 100 * time.Millisecond

// addresses are handed out on the whole machine: several nodes share it.
var addresses atomic.Int32

// Options are what a node needs.
type Options struct {
	Client    client.Client
	Namespace string
	// Program is the program of an image by its tag.
	Program func(tag string) (string, error)
	// Listen opens a way to Postgres for the process of a pod, and returns its
	// address.
	Listen func(*Process) (address string, stop func(), err error)
	// Postgres is the address in connection strings that Listen's stands in for.
	Postgres string
	// Log gets what happens, and Output what programs print.
	Log    *slog.Logger
	Output func(pod string) (Output, error)
}

// Output is where a program prints.
type Output interface {
	Write([]byte) (int, error)
	Close() error
}

// Node runs pods until Stop.
type Node struct {
	Options
	// context ends with the node.
	context context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu   sync.Mutex
	pods map[types.UID]*pod
	// endpoints are the addresses of each Service's ready pods.
	endpoints map[string][]string
}

// Start begins to look after the pods of the namespace.
func Start(ctx context.Context, o Options) *Node {
	ctx, cancel := context.WithCancel(ctx)
	n := &Node{Options: o, context: ctx, cancel: cancel, pods: map[types.UID]*pod{}, endpoints: map[string][]string{}}
	n.done.Go(func() { n.watch(ctx) })
	return n
}

// Stop kills all processes.
func (n *Node) Stop() {
	n.cancel()
	n.done.Wait()
}

func (n *Node) watch(ctx context.Context) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		if err := n.sync(ctx); err != nil && ctx.Err() == nil {
			n.Log.Warn("look after the pods", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sync begins pods that are new, ends those that shall end, and learns of the
// endpoints.
func (n *Node) sync(ctx context.Context) error {
	var found corev1.PodList
	if err := n.Client.List(ctx, &found, client.InNamespace(n.Namespace)); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	present := map[types.UID]bool{}
	for i := range found.Items {
		object := &found.Items[i]
		present[object.UID] = true
		n.look(ctx, object)
	}
	n.mu.Lock()
	for uid, p := range n.pods {
		if !present[uid] {
			p.kill()
			delete(n.pods, uid)
		}
	}
	n.mu.Unlock()
	return n.learn(ctx)
}

func (n *Node) look(ctx context.Context, object *corev1.Pod) {
	n.mu.Lock()
	p := n.pods[object.UID]
	if p == nil && object.DeletionTimestamp == nil && object.Status.Phase == corev1.PodPending {
		p = newPod(n, object.DeepCopy())
		n.pods[object.UID] = p
		n.done.Go(func() { p.run(ctx) })
	}
	n.mu.Unlock()
	if object.DeletionTimestamp == nil {
		return
	}
	if p != nil {
		p.end()
		return
	}
	// Nothing of it runs here.
	_ = n.Client.Delete(ctx, object, client.GracePeriodSeconds(0), client.Preconditions{UID: &object.UID})
}

// Processes are the processes that run and that a filter lets pass.
func (n *Node) Processes(wanted func(*Process) bool) []*Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []*Process
	for _, p := range n.pods {
		if process := p.running(); process != nil && wanted(process) {
			all = append(all, process)
		}
	}
	return all
}

// newAddress is a pod's address.
func newAddress() net.IP {
	number := addresses.Add(1)
	return net.IPv4(10, byte(number>>14&0x7f)+1, byte(number>>7&0x7f), byte(number&0x7f)+1)
}

// onLoopback is where a pod's process really listens.
func onLoopback(address string) string {
	ip := net.ParseIP(address).To4()
	return net.IPv4(127, ip[1], ip[2], ip[3]).String()
}

func now() metav1.Time { return metav1.Now() }
