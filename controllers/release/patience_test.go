package release

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllercluster "sigs.k8s.io/controller-runtime/pkg/cluster"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// outage stands between a cache and the API server. While it lasts no watch of
// Services tells anything, and the first one after it is told to list anew, as by
// an API server that was started again and has no history.
type outage struct {
	next http.RoundTripper

	mu      sync.Mutex
	running []io.Closer
	over    chan struct{}
	expired bool
}

func (o *outage) RoundTrip(request *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(request.URL.Path, "/services") || request.URL.Query().Get("watch") == "" {
		return o.next.RoundTrip(request)
	}
	o.mu.Lock()
	over, expired := o.over, o.expired
	o.mu.Unlock()
	if over != nil {
		select {
		case <-over:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
		expired = true
	}
	if expired && request.URL.Query().Get("sendInitialEvents") == "" {
		return gone(request), nil
	}
	response, err := o.next.RoundTrip(request)
	if err == nil {
		o.mu.Lock()
		o.running, o.expired = append(o.running, response.Body), false
		o.mu.Unlock()
	}
	return response, err
}

func gone(request *http.Request) *http.Response {
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old resource version","code":410}`
	return &http.Response{StatusCode: http.StatusGone, Request: request, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = make(chan struct{})
	for _, body := range o.running {
		_ = body.Close()
	}
	o.running = nil
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.over)
	o.over, o.expired = nil, true
}

// cached is a client as the manager makes it, behind an outage that can begin.
func cached(t *testing.T, namespace string) (*patientClient, *outage) {
	t.Helper()
	between := &outage{}
	config := rest.CopyConfig(clusterConfig)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		between.next = next
		return between
	})
	made, err := controllercluster.New(config, func(options *controllercluster.Options) {
		options.Scheme = cluster.Scheme()
		options.Cache = CacheOptions([]string{namespace})
		options.Client.Cache = &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)}
	})
	if err != nil {
		t.Fatal(err)
	}
	running(t, made.Start)
	patient := newPatientClient(made.GetClient(), made.GetAPIReader())
	patient.patience = 500 * time.Millisecond
	return patient, between
}

// running starts what runs until the test ends.
func running(t *testing.T, start func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := start(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-stopped })
}

// TestADeletionThatNoWatchShowsDelaysNoPassForEver is what an API server that is
// killed as it answers the deletion of a Service leaves behind.
func TestADeletionThatNoWatchShowsDelaysNoPassForEver(t *testing.T) {
	w := newWorld(t)
	patient, between := cached(t, w.namespace)
	service := func(name string) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{v1alpha1.LabelRelease: "nawhas"}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
	}
	list := func() []string {
		t.Helper()
		var found corev1.ServiceList
		w.must(patient.List(t.Context(), &found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelRelease: "nawhas"}))
		var names []string
		for i := range found.Items {
			names = append(names, found.Items[i].Name)
		}
		return names
	}
	late := func() (kinds int) {
		patient.late.Range(func(any, any) bool { kinds++; return true })
		return kinds
	}
	w.must(patient.Create(t.Context(), service("api")))
	w.must(patient.Create(t.Context(), service("api-preview")))
	if names := list(); len(names) != 2 || late() != 0 {
		t.Fatalf("listed %v, %d kinds are late", names, late())
	}

	between.begin()
	w.must(patient.Delete(t.Context(), service("api-preview")))
	between.end()

	if names := list(); len(names) != 1 || names[0] != "api" {
		t.Errorf("listed %v after the deletion", names)
	}
	if late() == 0 {
		t.Fatal("the cache showed the deletion: the outage was none")
	}
	if err := patient.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "api-preview"}, &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("what was deleted is read as %v", err)
	}
	w.must(patient.Create(t.Context(), service("web")))
	if names := list(); len(names) != 2 {
		t.Errorf("listed %v after a creation", names)
	}
	for deadline := time.Now().Add(time.Minute); late() > 1; list() {
		if time.Now().After(deadline) {
			t.Fatal("a list is still read past a cache that a later event has come to")
		}
	}
}
