package prerequisite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Operator is what an operator that starts is about to do.
type Operator struct {
	// Namespace is its own; empty outside of a cluster.
	Namespace string
	// Watched are the namespaces whose releases it looks after; all when empty.
	Watched []string
}

// Await checks until nothing is missing, and gives up after a time with what is
// missing then: an API server takes a moment to serve a definition that was just
// installed.
func Await(ctx context.Context, config *rest.Config, o Operator, patience time.Duration) error {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("open the cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		missing := Check(ctx, clients, o)
		if missing == nil {
			return nil
		}
		logr.FromContextOrDiscard(ctx).Info("the operator cannot start yet", "missing", missing.Error())
		select {
		case <-ctx.Done():
			return missing
		case <-time.After(time.Second):
		}
	}
}

// Check says what is missing, nil when nothing is.
func Check(ctx context.Context, clients kubernetes.Interface, o Operator) error {
	return errors.Join(
		checkDefinition(clients.Discovery().OpenAPIV3()),
		checkRights(ctx, clients.AuthorizationV1().SelfSubjectAccessReviews(), o.Watched),
		checkOthers(ctx, clients.AppsV1(), o),
	)
}
