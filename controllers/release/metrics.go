package release

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// metrics tells Prometheus what the status of each release said after its last
// pass: no more, so that a metric and kubectl never disagree, and no series of a
// release or version that is gone stays behind. It is safe for concurrent use.
type metrics struct {
	mu       sync.Mutex
	releases map[types.NamespacedName]v1alpha1.NawhasReleaseStatus
}

func newMetrics() *metrics {
	return &metrics{releases: map[types.NamespacedName]v1alpha1.NawhasReleaseStatus{}}
}

// note keeps what a release's status says now.
func (m *metrics) note(release *v1alpha1.NawhasRelease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.releases[types.NamespacedName{Namespace: release.Namespace, Name: release.Name}] = *release.Status.DeepCopy()
}

// forget drops a release that is gone.
func (m *metrics) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.releases, name)
}

// The metrics of a release, all gauges; docs/metrics.md tells of each.
var (
	describedCondition = describeMetric("condition", "1 while the condition is True, else 0, with its reason.", "condition", "reason")
	describedLive      = describeMetric("live_info", "1 for the version that the Services lead to.", "version")
	describedLag       = describeMetric("lag_events", "Events that the version's database has yet to apply.", "version", "role")
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
	for _, d := range []*prometheus.Desc{describedCondition, describedLive, describedLag, describedStage,
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
			collectVersion(&status.Versions[i], tell)
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
	}
	if status.Live != "" {
		tell(describedLive, 1, status.Live)
	}
}

func collectVersion(version *v1alpha1.VersionStatus, tell teller) {
	if version.Lag != nil {
		tell(describedLag, float64(*version.Lag), version.Version, string(version.Role))
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
