package node

import (
	"context"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

const (
	// A pod that is not ready yet is asked often, so that runs are short. One that
	// is ready becomes unready after about a second.
	probeUnready   = 200 * time.Millisecond
	probeReady     = 500 * time.Millisecond
	failuresBefore = 2
	restartAfter   = 300 * time.Millisecond
)

// pod is one pod and the process of its first container.
type pod struct {
	node   *Node
	object *corev1.Pod
	// ending is closed when the pod shall end.
	ending chan struct{}

	mu      sync.Mutex
	ended   bool
	process *Process
}

func newPod(n *Node, object *corev1.Pod) *pod {
	return &pod{node: n, object: object, ending: make(chan struct{})}
}

// run is the pod's life. It ends with the pod's object, or with the node.
func (p *pod) run(ctx context.Context) {
	if err := p.bind(ctx); err != nil {
		p.node.Log.Warn("bind a pod", "pod", p.object.Name, "error", err)
	}
	for restarts := int32(0); ; restarts++ {
		code, err := p.once(ctx, restarts)
		if err != nil {
			p.node.Log.Warn("run a pod", "pod", p.object.Name, "error", err)
		}
		switch {
		case ctx.Err() != nil:
			return
		case p.isEnding():
			p.forget(ctx)
			return
		case p.object.Spec.RestartPolicy == corev1.RestartPolicyNever:
			p.tell(ctx, final(p.object, code))
			<-p.endingOr(ctx)
			p.forget(ctx)
			return
		}
		p.tell(ctx, waiting(p.object, restarts))
		sleep(ctx, restartAfter)
	}
}

// bind gives the pod an address, and to a node: one without is deleted without
// grace, and one that is being deleted already stays without.
func (p *pod) bind(ctx context.Context) error {
	p.object.Status.PodIP = newAddress().String()
	p.object.Status.PodIPs = []corev1.PodIP{{IP: p.object.Status.PodIP}}
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: p.object.Namespace, Name: p.object.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: Name}}
	err := p.node.Client.SubResource("binding").Create(ctx, p.object, binding)
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// once runs the process from its start to its end.
func (p *pod) once(ctx context.Context, restarts int32) (code int, err error) {
	process, err := p.node.launch(ctx, p.object)
	// A kubelet waits for a Secret that is not there.
	for apierrors.IsNotFound(err) && ctx.Err() == nil && !p.isEnding() {
		sleep(ctx, restartAfter)
		process, err = p.node.launch(ctx, p.object)
	}
	if err != nil {
		return 127, err
	}
	p.mu.Lock()
	p.process = process
	p.mu.Unlock()
	p.tell(ctx, running(p.object, restarts, false))
	probes := time.NewTicker(probeUnready)
	defer probes.Stop()
	ready, failures, told := false, 0, p.ending
	for {
		select {
		case <-process.done:
			p.mu.Lock()
			p.process = nil
			p.mu.Unlock()
			return process.code, nil
		case <-ctx.Done():
			process.End()
		case <-told:
			told = nil
			process.terminate(time.Duration(ptr.Deref(p.object.Spec.TerminationGracePeriodSeconds, 30)) * time.Second)
		case <-probes.C:
			now := p.probe(ctx)
			if failures++; now {
				failures = 0
			}
			if now != ready && (now || failures >= failuresBefore) {
				ready = now
				p.tell(ctx, running(p.object, restarts, ready))
			}
			probes.Reset(interval(ready))
		}
	}
}

func interval(ready bool) time.Duration {
	if ready {
		return probeReady
	}
	return probeUnready
}

// probe asks the pod whether it is ready. One without a probe always is.
func (p *pod) probe(ctx context.Context) bool {
	probe := p.object.Spec.Containers[0].ReadinessProbe
	if probe == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	address := "http://" + onLoopback(p.object.Status.PodIP) + ":" + probe.HTTPGet.Port.String() + probe.HTTPGet.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// tell writes the status. A pod that is gone has none.
func (p *pod) tell(ctx context.Context, status corev1.PodStatus) {
	status.PodIP, status.PodIPs = p.object.Status.PodIP, p.object.Status.PodIPs
	for {
		current := &corev1.Pod{}
		err := p.node.Client.Get(ctx, client.ObjectKeyFromObject(p.object), current)
		if err == nil && current.UID == p.object.UID {
			current.Status = status
			err = p.node.Client.Status().Update(ctx, current)
		}
		if err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil {
			return
		}
		sleep(ctx, look)
	}
}

// forget deletes the object of a pod that has ended.
func (p *pod) forget(ctx context.Context) {
	for {
		err := p.node.Client.Delete(ctx, p.object, client.GracePeriodSeconds(0), client.Preconditions{UID: &p.object.UID})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
			return
		}
		sleep(ctx, look)
	}
}

// end has the pod end in an orderly way.
func (p *pod) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		close(p.ending)
	}
}

// kill ends the pod at once.
func (p *pod) kill() {
	p.end()
	if process := p.running(); process != nil {
		process.End()
	}
}

func (p *pod) running() *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

func (p *pod) isEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *pod) endingOr(ctx context.Context) <-chan struct{} {
	either := make(chan struct{})
	go func() {
		defer close(either)
		select {
		case <-ctx.Done():
		case <-p.ending:
		}
	}()
	return either
}

// program is what a pod runs: the stage of a Job or follower, or its workload.
func program(object *corev1.Pod) string {
	if stage := object.Labels[v1alpha1.LabelStage]; stage != "" {
		return stage
	}
	return object.Labels[v1alpha1.LabelWorkload]
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
