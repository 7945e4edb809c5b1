package release

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// scraped is what Prometheus would read. The registry refuses series that
// clash or do not fit their description.
func scraped(t *testing.T, m *metrics) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestMetricsSayWhatTheStatusSays(t *testing.T) {
	release := aRelease("library", "nawhas_v")
	release.Status = v1alpha1.NawhasReleaseStatus{
		Live: "3.1.2",
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonRolledBack},
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRolledBack},
			{Type: v1alpha1.ConditionVerified, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending},
		},
		Versions: []v1alpha1.VersionStatus{
			{Version: "3.2.0", Role: v1alpha1.RoleCandidate, Progress: &v1alpha1.ReplayProgress{Position: 61, Target: 100, EventsPerSecond: 58200}},
			{Version: "3.1.2", Role: v1alpha1.RoleLive, Lag: ptr.To[int64](7), Stages: []v1alpha1.StageStatus{
				{Name: v1alpha1.ConditionMigrated, Duration: metav1.Duration{Duration: 2100 * time.Millisecond}}}},
		},
	}
	m := newMetrics()
	m.note(&release.Status, release)
	told := scraped(t, m)

	for _, want := range []string{
		`nawhas_release_condition{condition="Stalled",namespace="library",reason="RolledBack",release="nawhas"} 1`,
		`nawhas_release_condition{condition="Ready",namespace="library",reason="RolledBack",release="nawhas"} 0`,
		`nawhas_release_condition{condition="Verified",namespace="library",reason="Pending",release="nawhas"} 0`,
		`nawhas_release_live_info{namespace="library",release="nawhas",version="3.1.2"} 1`,
		`nawhas_release_lag_events{namespace="library",release="nawhas",role="Live",version="3.1.2"} 7`,
		`nawhas_release_stage_seconds{namespace="library",release="nawhas",stage="Migrated",version="3.1.2"} 2.1`,
		`nawhas_release_replay_position{namespace="library",release="nawhas",version="3.2.0"} 61`,
		`nawhas_release_replay_target{namespace="library",release="nawhas",version="3.2.0"} 100`,
		`nawhas_release_replay_events_per_second{namespace="library",release="nawhas",version="3.2.0"} 58200`,
	} {
		if !strings.Contains(told, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, told)
		}
	}
}

func TestMetricsForgetWhatIsGone(t *testing.T) {
	release := aRelease("library", "nawhas_v")
	release.Status.Versions = []v1alpha1.VersionStatus{{Version: "3.1.2", Role: v1alpha1.RoleLive, Lag: ptr.To[int64](7)}}
	m := newMetrics()
	m.note(&release.Status, release)
	release.Status.Versions[0] = v1alpha1.VersionStatus{Version: "3.2.0", Role: v1alpha1.RoleLive, Lag: ptr.To[int64](0)}
	m.note(&release.Status, release)
	if told := scraped(t, m); strings.Contains(told, "3.1.2") || !strings.Contains(told, "3.2.0") {
		t.Errorf("a version that is gone is told of:\n%s", told)
	}
	m.forget(types.NamespacedName{Namespace: "library", Name: "nawhas"})
	if told := scraped(t, m); told != "" {
		t.Errorf("a release that is gone is told of:\n%s", told)
	}
}
