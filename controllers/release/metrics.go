package release

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// metrics tells Prometheus what the status of each release said after its last
// pass, so that a metric and kubectl do not disagree, and no series of a release
// or version that is gone stays behind. Only how far each database is, is newer
// and more exact than in the status. Beside that it tells of the operator's own
// work. It is safe for concurrent use.
type metrics struct {
	mu       sync.Mutex
	releases map[types.NamespacedName]v1alpha1.NawhasReleaseStatus
	measured map[types.NamespacedName]map[string]measure

	passes, work, databaseWaits, requestWaits, stages, polls *prometheus.HistogramVec
	problems                                                 *prometheus.CounterVec
}

// measure is how far a version's database was at the last look at its source.
type measure struct{ position, lag int64 }

func newMetrics() *metrics {
	return &metrics{
		releases: map[types.NamespacedName]v1alpha1.NawhasReleaseStatus{},
		measured: map[types.NamespacedName]map[string]measure{},
		passes: newHistogram("nawhas_pass_seconds", "How long a pass over a release took, without its waiting for databases.",
			prometheus.ExponentialBucketsRange(0.0005, 60, 27)),
		work: newHistogram("nawhas_pass_work_seconds", "How long a pass over a release took, without its waiting for databases and the API server.",
			prometheus.ExponentialBucketsRange(0.0005, 60, 27)),
		databaseWaits: newHistogram("nawhas_pass_database_seconds", "How long a pass over a release waited for databases.", prometheus.ExponentialBucketsRange(0.0005, 60, 18)),
		requestWaits:  newHistogram("nawhas_pass_api_seconds", "How long a pass over a release waited for the API server.", prometheus.ExponentialBucketsRange(0.0005, 60, 18)),
		stages:        newHistogram("nawhas_stage_duration_seconds", "How long stages took that were passed since the operator started.", prometheus.ExponentialBucketsRange(0.1, 86400, 18), "stage"),
		polls:         newHistogram("nawhas_source_poll_seconds", "How long the query took that looks at a source for all its releases.", prometheus.ExponentialBucketsRange(0.0005, 4, 12), "server"),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nawhas_pass_problems_total",
			Help: "Passes that came to no end, by the reason."}, []string{"reason"}),
	}
}

func newHistogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// own are the metrics that the operator's work adds up to.
func (m *metrics) own() []prometheus.Collector {
	return []prometheus.Collector{m.passes, m.work, m.databaseWaits, m.requestWaits, m.stages, m.polls, m.problems}
}

// note keeps what a release's status says now, and counts the stages that it did
// not say before.
func (m *metrics) note(before *v1alpha1.NawhasReleaseStatus, after *v1alpha1.NawhasRelease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := types.NamespacedName{Namespace: after.Namespace, Name: after.Name}
	m.releases[name] = *measurable(&after.Status)
	delete(m.measured, name)
	known := map[string]bool{}
	for _, version := range before.Versions {
		for _, stage := range version.Stages {
			known[version.Version+" "+stage.Name] = true
		}
	}
	for _, version := range after.Status.Versions {
		for _, stage := range version.Stages {
			if !known[version.Version+" "+stage.Name] {
				m.stages.WithLabelValues(stage.Name).Observe(stage.Duration.Seconds())
			}
		}
	}
}

// measurable is a copy of what metrics tell of a status: no messages, nor what proves
// anything.
func measurable(status *v1alpha1.NawhasReleaseStatus) *v1alpha1.NawhasReleaseStatus {
	kept := &v1alpha1.NawhasReleaseStatus{Live: status.Live, Conditions: make([]metav1.Condition, len(status.Conditions)),
		Versions: make([]v1alpha1.VersionStatus, len(status.Versions))}
	for i, c := range status.Conditions {
		kept.Conditions[i] = metav1.Condition{Type: c.Type, Status: c.Status, Reason: c.Reason}
	}
	for i := range status.Versions {
		v := &status.Versions[i]
		stages := make([]v1alpha1.StageStatus, len(v.Stages))
		for j, stage := range v.Stages {
			stages[j] = v1alpha1.StageStatus{Name: stage.Name, Duration: stage.Duration}
		}
		kept.Versions[i] = v1alpha1.VersionStatus{Version: v.Version, Role: v.Role, Progress: v.Progress.DeepCopy(), Stages: stages}
		if v.Lag != nil {
			kept.Versions[i].Lag = ptr.To(*v.Lag)
		}
		if v.Checkpoint != nil {
			kept.Versions[i].Checkpoint = ptr.To(*v.Checkpoint)
		}
	}
	return kept
}

// measure keeps how far the databases of a release are.
func (m *metrics) measure(name types.NamespacedName, versions []ledger.Glance, head int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]measure{}
	for _, g := range versions {
		found[g.Version] = measure{position: g.Position, lag: max(0, head-g.Position)}
	}
	m.measured[name] = found
}

// passed notes a pass: how long it took, and how much of that it waited for
// databases and for the API server.
func (m *metrics) passed(took, databases, apiServer time.Duration) {
	m.passes.WithLabelValues().Observe((took - databases).Seconds())
	m.work.WithLabelValues().Observe((took - databases - apiServer).Seconds())
	m.databaseWaits.WithLabelValues().Observe(databases.Seconds())
	m.requestWaits.WithLabelValues().Observe(apiServer.Seconds())
}

// failed notes a pass that came to no end.
func (m *metrics) failed(reason string) { m.problems.WithLabelValues(reason).Inc() }

// polled notes a look at a source.
func (m *metrics) polled(server string, took time.Duration) {
	m.polls.WithLabelValues(server).Observe(took.Seconds())
}

// forget drops a release that is gone.
func (m *metrics) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.releases, name)
	delete(m.measured, name)
}

// The metrics of a release, all gauges; docs/metrics.md tells of each.
var (
	describedCondition = describeMetric("condition", "1 while the condition is True, else 0, with its reason.", "condition", "reason")
	describedLive      = describeMetric("live_info", "1 for the version that the Services lead to.", "version")
	describedLag       = describeMetric("lag_events", "Events that the version's database has yet to apply.", "version", "role")
	describedCheck     = describeMetric("checkpoint_position", "Position up to which the version's database has applied the log.", "version", "role")
	describedRollback  = describeMetric("rollback_ready", "1 while the previous version can come back at once, else 0.")
	describedStage     = describeMetric("stage_seconds", "How long a passed stage of the version took.", "version", "stage")
	describedPosition  = describeMetric("replay_position", "Position that the version's replay has reached, while it runs.", "version")
	describedTarget    = describeMetric("replay_target", "Position at which the version's replay ends, while it runs.", "version")
	describedRate      = describeMetric("replay_events_per_second", "Rate of the version's replay, while it runs.", "version")
)

func describeMetric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("nawhas_release_"+name, help, append([]string{"namespace", "release"}, labels...), nil)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(described chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{describedCondition, describedLive, describedLag, describedCheck, describedRollback, describedStage,
		describedPosition, describedTarget, describedRate} {
		described <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(collected chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, status := range m.releases {
		tell := func(d *prometheus.Desc, value float64, labels ...string) {
			collected <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{name.Namespace, name.Name}, labels...)...)
		}
		collectRelease(&status, tell)
		for i := range status.Versions {
			collectVersion(&status.Versions[i], m.measured[name], tell)
		}
	}
}

type teller func(d *prometheus.Desc, value float64, labels ...string)

func collectRelease(status *v1alpha1.NawhasReleaseStatus, tell teller) {
	for _, condition := range status.Conditions {
		value := 0.0
		if condition.Status == metav1.ConditionTrue {
			value = 1
		}
		tell(describedCondition, value, condition.Type, condition.Reason)
		if condition.Type == v1alpha1.ConditionRollbackReady {
			tell(describedRollback, value)
		}
	}
	if status.Live != "" {
		tell(describedLive, 1, status.Live)
	}
}

func collectVersion(version *v1alpha1.VersionStatus, measured map[string]measure, tell teller) {
	if version.Lag != nil {
		lag, position := *version.Lag, ptr.Deref(version.Checkpoint, 0)
		if newer, ok := measured[version.Version]; ok {
			lag, position = newer.lag, newer.position
		}
		tell(describedLag, float64(lag), version.Version, string(version.Role))
		tell(describedCheck, float64(position), version.Version, string(version.Role))
	}
	for _, stage := range version.Stages {
		tell(describedStage, stage.Duration.Seconds(), version.Version, stage.Name)
	}
	if progress := version.Progress; progress != nil {
		tell(describedPosition, float64(progress.Position), version.Version)
		tell(describedTarget, float64(progress.Target), version.Version)
		tell(describedRate, float64(progress.EventsPerSecond), version.Version)
	}
}
