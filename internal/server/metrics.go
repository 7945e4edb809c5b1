package server

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

// metrics are a server's own; nothing is registered globally, so that tests can
// run many servers.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	commands *prometheus.CounterVec
	waits    *prometheus.HistogramVec
}

// secondsBuckets go from a read that finds everything cached to a request that
// runs into its time limit.
var secondsBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(version string, s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nawhas_http_requests_total",
			Help: "Requests by route and status."}, []string{"method", "route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nawhas_http_request_seconds",
			Help: "How long requests took.", Buckets: secondsBuckets}, []string{"method", "route"}),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nawhas_commands_total",
			Help: "Attempts to append an event, by the event's name and how they ended."}, []string{"event", "outcome"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nawhas_position_wait_seconds",
			Help: "How long requests waited for a position.", Buckets: secondsBuckets}, []string{"outcome"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nawhas_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "commit": buildinfo.Commit}})
	build.Set(1)
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nawhas_position_waiters",
		Help: "Requests that wait for a position now."}, func() float64 { return float64(s.tide.waiters()) })
	m.registry.MustRegister(m.requests, m.seconds, m.commands, m.waits, build, waiting, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for name, pool := range map[string]*pgxpool.Pool{"version": s.options.Database, "source": s.options.Source} {
		m.registry.MustRegister(connections(name, pool)...)
	}
	return m
}

func connections(database string, pool *pgxpool.Pool) []prometheus.Collector {
	gauge := func(state string, read func(*pgxpool.Stat) int32) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nawhas_database_connections", Help: "Connections by database and state.",
			ConstLabels: prometheus.Labels{"database": database, "state": state}}, func() float64 { return float64(read(pool.Stat())) })
	}
	return []prometheus.Collector{gauge("used", (*pgxpool.Stat).AcquiredConns), gauge("idle", (*pgxpool.Stat).IdleConns),
		gauge("limit", (*pgxpool.Stat).MaxConns)}
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func (m *metrics) answered(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(method, route).Observe(took.Seconds())
}

func (m *metrics) appended(event string, err error) {
	outcome := "appended"
	switch {
	case errors.Is(err, errDuplicate):
		outcome = "duplicate"
	case errors.Is(err, errMayNotWrite):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	m.commands.WithLabelValues(event, outcome).Inc()
}

func (m *metrics) waited(reached bool, took time.Duration) {
	outcome := "reached"
	if !reached {
		outcome = "timeout"
	}
	m.waits.WithLabelValues(outcome).Observe(took.Seconds())
}
