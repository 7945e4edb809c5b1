package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

const (
	requestTimeout = 10 * time.Second
	propagation    = 30 * time.Second
)

// Reciter is one reciter as a client of the application reads it.
type Reciter struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
	// Version is the version that answered.
	Version string `json:"-"`
}

// ReadReciter reads the first reciter of the library through a Service, as a
// client of the application would.
func (c *Cluster) ReadReciter(ctx context.Context, namespace, service string) (Reciter, error) {
	var page struct {
		Items []Reciter `json:"items"`
	}
	if _, err := c.get(ctx, namespace, service, "/v1/reciters", &page); err != nil {
		return Reciter{}, err
	}
	if len(page.Items) == 0 {
		return Reciter{}, fmt.Errorf("the Service %s knows no reciter", service)
	}
	var reciter Reciter
	version, err := c.get(ctx, namespace, service, "/v1/reciters/"+page.Items[0].ID, &reciter)
	reciter.Version = version
	return reciter, err
}

// Address is the Service's, which works where Local is true. It waits until
// kube-proxy has told the node of a Service that is new.
func (c *Cluster) Address(ctx context.Context, namespace, service string) (string, error) {
	var s corev1.Service
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: service}, &s); err != nil {
		return "", fmt.Errorf("find the Service %s: %w", service, err)
	}
	ctx, cancel := context.WithTimeout(ctx, propagation)
	defer cancel()
	address := net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(s.Spec.Ports[0].Port)))
	err := Until(ctx, 100*time.Millisecond, func() (bool, error) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // it is tried again
		}
		return true, conn.Close()
	})
	if err != nil {
		return "", fmt.Errorf("the Service %s accepts no connection within %s: %w", service, propagation, err)
	}
	return "http://" + address, nil
}

// Flipped tells the moment at which a Service was seen to lead to a version. The
// channel is closed without one when the context ends first.
func (c *Cluster) Flipped(ctx context.Context, namespace, service, version string) (<-chan time.Time, error) {
	watcher, err := c.Watch(ctx, &corev1.ServiceList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": service})
	if err != nil {
		return nil, fmt.Errorf("watch the Service %s: %w", service, err)
	}
	flipped := make(chan time.Time, 1)
	go func() {
		defer close(flipped)
		defer watcher.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case event, open := <-watcher.ResultChan():
				if !open {
					return
				}
				if s, ok := event.Object.(*corev1.Service); ok && s.Spec.Selector[v1alpha1.LabelVersion] == version {
					flipped <- time.Now()
					return
				}
			}
		}
	}()
	return flipped, nil
}

// get goes to the Service's address where this machine reaches it, and through
// the API server elsewhere, which tells no headers.
func (c *Cluster) get(ctx context.Context, namespace, service, path string, into any) (version string, err error) {
	if !c.Local() {
		out, err := c.Kubectl(ctx, "get", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/services/%s:80/proxy%s", namespace, service, path))
		if err != nil {
			return "", err
		}
		return "", decode([]byte(out), path, into)
	}
	address, err := c.Address(ctx, namespace, service)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
	if err != nil {
		return "", fmt.Errorf("ask for %s: %w", path, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask for %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for %s: %s", path, response.Status)
	}
	return response.Header.Get("Nawhas-Version"), decode(body, path, into)
}

func decode(body []byte, path string, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("understand the answer of %s: %w", path, err)
	}
	return nil
}
