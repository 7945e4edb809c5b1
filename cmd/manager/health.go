package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/nawhas/nawhas-operator/controllers/release"
)

// probePatience is less than the second that a kubelet waits for a probe.
const probePatience = 800 * time.Millisecond

// addChecks says what makes the operator alive and ready. It is alive while its
// passes come to an end: what a pass waits for is bounded, so that one which does
// not is a fault that only a restart can mend. It is ready when it has seen all
// of the cluster that it has to, and the API server answers. One that waits to
// take over from another is ready too.
func addChecks(mgr ctrl.Manager, r *release.Reconciler, config *rest.Config) error {
	if err := mgr.AddHealthzCheck("passes", func(*http.Request) error { return r.Alive() }); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", cachesSynced(mgr)); err != nil {
		return err
	}
	ask, err := apiServerAnswers(config)
	if err != nil {
		return err
	}
	return mgr.AddReadyzCheck("api-server", ask)
}

func cachesSynced(mgr ctrl.Manager) func(*http.Request) error {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), probePatience)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}

// apiServerAnswers asks past the client's rate limit, which a busy operator may
// have used up.
func apiServerAnswers(config *rest.Config) (func(*http.Request) error, error) {
	probing := rest.CopyConfig(config)
	probing.QPS = -1
	client, err := discovery.NewDiscoveryClientForConfig(probing)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), probePatience)
		defer cancel()
		if err := client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
			return fmt.Errorf("the API server does not answer: %w", err)
		}
		return nil
	}, nil
}
