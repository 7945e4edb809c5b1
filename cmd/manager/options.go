package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/nawhas/nawhas-operator/controllers/release"
)

// options are what the flags say.
type options struct {
	metricsAddress      string
	metricsSecure       bool
	metricsCertificates string
	probeAddress        string
	profileAddress      string

	leaderElect                               bool
	leaseNamespace, lease                     string
	leaseDuration, renewDeadline, retryPeriod time.Duration

	namespaces []string
	release    release.Settings
	qps        float32
	burst      int

	logLevel, logFormat string
	stopTimeout         time.Duration
}

func defaults() *options { return &options{release: release.DefaultSettings()} }

func (o *options) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of the metrics, 0 for none")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve the metrics over TLS, to those who may read them")
	flags.StringVar(&o.metricsCertificates, "metrics-cert-dir", "", "folder with tls.crt and tls.key for the metrics, read anew when they change; self-signed when empty")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of the health probes, 0 for none")
	flags.StringVar(&o.profileAddress, "pprof-bind-address", "0", "address of Go's profiles, for whoever looks into the operator itself; 0 for none. They are not secured: use 127.0.0.1 and a port-forward")

	flags.BoolVar(&o.leaderElect, "leader-elect", false, "let one of several operators work at a time")
	flags.StringVar(&o.leaseNamespace, "leader-elect-namespace", "", "namespace of the lease; the operator's own when empty")
	flags.StringVar(&o.lease, "leader-elect-id", leaseName, "name of the lease; operators in one namespace that look after different ones need one each")
	flags.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "how long the others wait before they take over from one that went silent")
	flags.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second, "how long the one that works tries to renew its lease before it stops")
	flags.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second, "between two tries to get or renew the lease")

	flags.StringSliceVar(&o.namespaces, "watch-namespace", nil, "namespaces whose releases are looked after; all when empty")
	flags.IntVar(&o.release.Concurrency, "concurrency", o.release.Concurrency, "releases worked on at once")
	flags.IntVar(&o.release.PerServer, "concurrency-per-server", o.release.PerServer, "releases worked on at once whose databases are on one server; it gets at most twice as many connections, and one")
	flags.DurationVar(&o.release.PollInterval, "poll-interval", o.release.PollInterval, "between two looks at a source for all of its releases that are at rest")
	flags.DurationVar(&o.release.Recheck, "resync", o.release.Recheck, "when a release at rest is looked at in full although nothing was seen to change")
	flags.Float32Var(&o.qps, "kube-api-qps", -1, "requests to the API server a second; -1 leaves it to the server, which shares itself out")
	flags.IntVar(&o.burst, "kube-api-burst", 200, "requests to the API server at once, when their rate is limited")

	flags.StringVar(&o.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "json", "json for machines or text for people")
	flags.DurationVar(&o.stopTimeout, "shutdown-timeout", 15*time.Second, "how long passes under way may take when the operator is told to stop; each step can be taken again")
}

func (o *options) validate() error {
	var level slog.Level
	switch {
	case o.release.Concurrency < 1:
		return errors.New("--concurrency must be at least 1")
	case o.release.PerServer < 1 || o.release.PerServer > 100:
		return errors.New("--concurrency-per-server must be from 1 to 100")
	case o.release.PollInterval < time.Second || o.release.PollInterval > time.Minute:
		return fmt.Errorf("--poll-interval must be from 1s to 1m, not %s", o.release.PollInterval)
	case o.release.Recheck < time.Minute:
		return fmt.Errorf("--resync must be at least 1m, not %s", o.release.Recheck)
	case o.qps == 0 || o.burst < 1:
		return errors.New("--kube-api-qps must not be 0, and --kube-api-burst at least 1")
	case o.leaderElect && o.lease == "":
		return errors.New("--leader-elect-id must name a lease")
	case o.leaderElect && (o.leaseDuration <= o.renewDeadline || o.renewDeadline <= o.retryPeriod || o.retryPeriod <= 0):
		return errors.New("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than --leader-elect-retry-period")
	case o.logFormat != "json" && o.logFormat != "text":
		return fmt.Errorf("--log-format must be json or text, not %q", o.logFormat)
	case level.UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("--log-level must be debug, info, warn or error, not %q", o.logLevel)
	}
	return nil
}

// logger writes lines to out.
func (o *options) logger(out io.Writer) logr.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.logLevel)) // validated
	handler := &slog.HandlerOptions{Level: level}
	if o.logFormat == "text" {
		return logr.FromSlogHandler(slog.NewTextHandler(out, handler))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(out, handler))
}
