package node

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// learn reads which pods are behind each Service.
func (n *Node) learn(ctx context.Context) error {
	var found discoveryv1.EndpointSliceList
	if err := n.Client.List(ctx, &found, client.InNamespace(n.Namespace)); err != nil {
		return fmt.Errorf("list EndpointSlices: %w", err)
	}
	endpoints := map[string][]string{}
	for i := range found.Items {
		slice := &found.Items[i]
		service := slice.Labels[discoveryv1.LabelServiceName]
		for _, endpoint := range slice.Endpoints {
			if !ptr.Deref(endpoint.Conditions.Ready, true) {
				continue
			}
			for _, port := range slice.Ports {
				endpoints[service] = append(endpoints[service], net.JoinHostPort(onLoopback(endpoint.Addresses[0]), strconv.Itoa(int(*port.Port))))
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.endpoints = endpoints
	return nil
}

// Expose leads connections to a Service's pods, each for as long as it lasts to
// the same one, and returns the address to connect to.
func (n *Node) Expose(service string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the Service %s: %w", service, err)
	}
	n.done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go n.lead(client, service)
		}
	})
	context.AfterFunc(n.context, func() { _ = listener.Close() })
	return listener.Addr().String(), nil
}

func (n *Node) lead(from net.Conn, service string) {
	defer func() { _ = from.Close() }()
	n.mu.Lock()
	choices := n.endpoints[service]
	n.mu.Unlock()
	if len(choices) == 0 {
		return
	}
	to, err := net.Dial("tcp", choices[rand.IntN(len(choices))]) //nolint:gosec // as kube-proxy chooses
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	var both sync.WaitGroup
	both.Go(func() { pass(from, to) })
	both.Go(func() { pass(to, from) })
	both.Wait()
}

// pass copies one direction, and passes its end on too.
func pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
