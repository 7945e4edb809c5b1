// Command manager is the operator: it runs the controller of NawhasReleases
// until it is told to stop.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/controllers/release"
	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

// stopTimeout bounds how long passes under way may take when the operator is
// told to stop. Every step can be taken again, so that it need not be long.
const stopTimeout = 15 * time.Second

type options struct {
	metricsAddress string
	metricsSecure  bool
	probeAddress   string
	leaderElect    bool
	namespaces     []string
	development    bool
}

func main() {
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "manager",
		Short:         "Run the Nawhas operator",
		Version:       buildinfo.Version + " (" + buildinfo.Commit + ")",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of the metrics, 0 for none")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve the metrics over TLS, to those who may read them")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of the health probes")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several operators work at a time")
	flags.StringSliceVar(&o.namespaces, "watch-namespace", nil, "namespaces whose releases are looked after; all when empty")
	flags.BoolVar(&o.development, "development", false, "log for people rather than for machines")
	return cmd
}

func run(ctx context.Context, o options) error {
	log := logger(o.development)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := ctrl.NewManager(config, managerOptions(scheme, o))
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	reconciler := release.New(mgr.GetClient(), mgr.GetEventRecorder(release.FieldManager))
	defer reconciler.Close()
	if err := reconciler.SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("set up the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("set up the readiness check: %w", err)
	}
	return mgr.Start(ctx)
}

func managerOptions(scheme *runtime.Scheme, o options) ctrl.Options {
	metrics := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
		metrics.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metrics,
		HealthProbeBindAddress:  o.probeAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        "nawhas-operator.releases.nawhas.com",
		GracefulShutdownTimeout: ptr.To(stopTimeout),
		// The process ends after it lost its lease, so that giving the lease back
		// at a clean stop is safe and lets the next one start at once.
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cacheOptions(o.namespaces),
		Client:                        client.Options{Cache: clientCacheOptions()},
	}
}

// cacheOptions keeps only the pods and endpoints that belong to releases.
func cacheOptions(namespaces []string) cache.Options {
	ours, err := labels.NewRequirement(v1alpha1.LabelRelease, selection.Exists, nil)
	utilruntime.Must(err)
	options := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                {Label: labels.NewSelector().Add(*ours)},
			&discoveryv1.EndpointSlice{}: {Label: labels.NewSelector().Add(*ours)},
		},
	}
	for _, namespace := range namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[strings.TrimSpace(namespace)] = cache.Config{}
	}
	return options
}

// clientCacheOptions leaves namespaces out of the cache: a watch of them is a
// right that no Role can give, and they are read once in a deletion.
func clientCacheOptions() *client.CacheOptions {
	return &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true), DisableFor: []client.Object{&corev1.Namespace{}}}
}

// logger writes JSON for machines, or text for people, to standard error.
func logger(development bool) logr.Logger {
	if development {
		return logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, nil))
}
