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
	// Pod is its own, whose name begins with that of its Deployment.
	Pod string
	// Watched are the namespaces whose releases it looks after; all when empty.
	Watched []string
}

const (
	// again is the pause between two checks.
	again = time.Second
	// atOnce is how long one check may take.
	atOnce = 30 * time.Second
)

// Await checks until nothing is missing, and gives up after a time with what is
// missing then: an API server takes a moment to serve a definition that was just
// installed. A check that has begun is not cut short, because its answer would
// be that time is over.
func Await(ctx context.Context, config *rest.Config, o Operator, patience time.Duration) error {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("open the cluster: %w", err)
	}
	for end := time.Now().Add(patience); ; {
		missing := checkOnce(ctx, clients, o)
		if missing == nil || time.Until(end) < again {
			return missing
		}
		logr.FromContextOrDiscard(ctx).Info("the operator cannot start yet", "missing", missing.Error())
		select {
		case <-ctx.Done():
			return missing
		case <-time.After(again):
		}
	}
}

func checkOnce(ctx context.Context, clients kubernetes.Interface, o Operator) error {
	ctx, cancel := context.WithTimeout(ctx, atOnce)
	defer cancel()
	return Check(ctx, clients, o)
}

// Check says what is missing, nil when nothing is.
func Check(ctx context.Context, clients kubernetes.Interface, o Operator) error {
	return errors.Join(
		checkDefinition(clients.Discovery().OpenAPIV3()),
		checkRights(ctx, clients.AuthorizationV1().SelfSubjectAccessReviews(), o.Watched),
		checkOthers(ctx, clients.AppsV1(), o),
	)
}
