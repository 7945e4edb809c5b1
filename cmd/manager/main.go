// Command manager is the operator: it runs the controller of NawhasReleases
// until it is told to stop.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/controllers/release"
	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/prerequisite"
)

// leaseName is the lease of the operator that works, unless a flag names another.
const leaseName = "nawhas-operator.releases.nawhas.com"

// startTimeout bounds how long the operator waits for what the cluster lacks. It
// then ends and says so, and is started again: a while is needed by an API server
// to serve a definition that was just installed.
const startTimeout = 10 * time.Second

// namespaceFile names the namespace of a pod.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func main() {
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	o := defaults()
	cmd := &cobra.Command{
		Use:           "manager",
		Short:         "Run the Nawhas operator",
		Version:       buildinfo.Operator + " (" + buildinfo.Commit + ")",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	o.bind(cmd.Flags())
	return cmd
}

func run(ctx context.Context, o *options) error {
	for i := range o.namespaces {
		o.namespaces[i] = strings.TrimSpace(o.namespaces[i])
	}
	log := o.logger(os.Stderr)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS, config.Burst = o.qps, o.burst
	config.Wrap(release.MeasureRequests)
	operator := prerequisite.Operator{Namespace: ownNamespace(), Pod: ownPod(), Watched: o.namespaces}
	if err := prerequisite.Await(logr.NewContext(ctx, log), config, operator, startTimeout); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, managerOptions(scheme, o))
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	secrets, err := secretsCache(mgr, o.namespaces)
	if err != nil {
		return fmt.Errorf("set up the watch of Secrets: %w", err)
	}
	reconciler := release.New(mgr.GetClient(), mgr.GetEventRecorder(release.FieldManager), o.release)
	defer reconciler.Close()
	if err := reconciler.SetupWithManager(ctx, mgr, secrets); err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	if err := addChecks(mgr, reconciler, config); err != nil {
		return fmt.Errorf("set up the health checks: %w", err)
	}
	log.Info("starting", "version", buildinfo.Version, "commit", buildinfo.Commit, "concurrency", o.release.Concurrency, "namespaces", o.namespaces)
	err = mgr.Start(ctx)
	log.Info("stopped")
	return err
}

// ownNamespace is where the operator runs; empty outside of a cluster.
func ownNamespace() string {
	content, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// ownPod is the name of its pod, unless that shares the node's network.
func ownPod() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func secretsCache(mgr ctrl.Manager, namespaces []string) (cache.Cache, error) {
	options := release.SecretsCacheOptions(namespaces)
	options.HTTPClient, options.Scheme, options.Mapper = mgr.GetHTTPClient(), mgr.GetScheme(), mgr.GetRESTMapper()
	return cache.New(rest.CopyConfig(mgr.GetConfig()), options)
}

func managerOptions(scheme *runtime.Scheme, o *options) ctrl.Options {
	metrics := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure, CertDir: o.metricsCertificates}
	if o.metricsSecure {
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
		metrics.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metrics,
		HealthProbeBindAddress:  o.probeAddress,
		PprofBindAddress:        o.profileAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        o.lease,
		LeaderElectionNamespace: o.leaseNamespace,
		LeaseDuration:           &o.leaseDuration,
		RenewDeadline:           &o.renewDeadline,
		RetryPeriod:             &o.retryPeriod,
		GracefulShutdownTimeout: &o.stopTimeout,
		// The process ends after it lost its lease, so that giving the lease back
		// at a clean stop is safe and lets the next one start at once.
		LeaderElectionReleaseOnCancel: true,
		Cache:                         release.CacheOptions(o.namespaces),
		Client:                        client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)}},
	}
}
