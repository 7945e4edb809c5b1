package release

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// prometheusOf answers each query with one value, at the moments that are asked
// for, and remembers the query. A real one answers in test/monitoring, where the
// clock is real, too.
type prometheusOf struct {
	*httptest.Server
	value, query atomic.Value
}

func newPrometheusOf(t *testing.T, value string) *prometheusOf {
	p := &prometheusOf{}
	p.value.Store(value)
	p.query.Store("")
	p.Server = httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(p.Close)
	return p
}

func (p *prometheusOf) answer(w http.ResponseWriter, r *http.Request) {
	p.query.Store(r.FormValue("query"))
	start, _ := strconv.ParseFloat(r.FormValue("start"), 64)
	end, _ := strconv.ParseFloat(r.FormValue("end"), 64)
	step, _ := strconv.ParseFloat(r.FormValue("step"), 64)
	var values [][2]any
	for at := start; at <= end+step/100; at += step {
		values = append(values, [2]any{at, p.value.Load()})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix",
		"result": []any{map[string]any{"values": values}}}})
}

func checkedBy(p *prometheusOf) func(*v1alpha1.NawhasRelease) {
	return func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.Checks = []v1alpha1.MetricCheck{{Name: "errors", Max: "0.05", Prometheus: v1alpha1.PrometheusQuery{
			Address: p.URL, Query: `errors{namespace="$namespace",release="$release",version="$version"}`}}}
	}
}

// goOnWithTheServers sets the clock to that of the servers, which tell when a
// version went live and did not stand still meanwhile.
func (w *world) goOnWithTheServers() {
	if now := time.Now(); now.After(w.clock.Now()) {
		w.clock.SetTime(now)
	}
}

func TestAVersionWhoseMetricIsWrongIsSentBack(t *testing.T) {
	p := newPrometheusOf(t, "0.01")
	w := twoVersions(t, checkedBy(p))
	w.goOnWithTheServers()
	w.kubelet.wait(15 * time.Second)
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" {
		t.Fatalf("it was sent back for a value that is well:\n%s", w.told())
	}
	if want := fmt.Sprintf(`errors{namespace="%s",release="nawhas",version="3.2.0"}`, w.namespace); p.query.Load() != want {
		t.Errorf("it asked %s, not %s", p.query.Load(), want)
	}

	p.value.Store("0.3")
	w.kubelet.wait(5 * time.Second)
	release := w.until("sent back", isHeldAt("3.1.2"))
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "check errors: the value is 0.3 and was above 0.05 for 10s") {
		t.Errorf("it says %s", message)
	}
}

func TestAVersionIsNotSentBackBeforeItWasWrongForLongEnough(t *testing.T) {
	w := twoVersions(t, checkedBy(newPrometheusOf(t, "1")), func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.Checks[0].FailAfter = &metav1.Duration{Duration: time.Minute}
	})
	w.goOnWithTheServers()
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" {
		t.Fatalf("it was sent back at once:\n%s", w.told())
	}
	w.kubelet.wait(time.Minute)
	w.until("sent back", isHeldAt("3.1.2"))
}

func TestAPrometheusThatIsNotThereIsNoReasonToGoBack(t *testing.T) {
	p := newPrometheusOf(t, "1")
	change := checkedBy(p)
	p.Close()
	w := twoVersions(t, change)
	w.kubelet.wait(3 * time.Minute)
	w.settle()
	if release := w.get(); release.Status.Live != "3.2.0" || !isTrue(release, v1alpha1.ConditionReady) {
		t.Errorf("it was sent back:\n%s", w.told())
	}
	if !w.recorded("MetricUnknown") {
		t.Error("no Event tells that nothing was known")
	}
}

func TestJudgeMetric(t *testing.T) {
	for name, test := range map[string]struct {
		max, min string
		values   string
		fails    string
		unknown  bool
	}{
		"above all the time":            {"1", "", "2 2 2 2 2 2", "was above 1", false},
		"at the limit":                  {"1", "", "1 1 1 1 1 1", "", false},
		"above, but for a moment":       {"1", "", "2 2 1 2 2 2", "", false},
		"above, with a moment of none":  {"1", "", "2 2 2 2 2", "", false},
		"below all the time":            {"", "0.99", "0.5 0.5 0.5 0.5 0.5 0.5", "was below 0.99", false},
		"now above, now below":          {"1", "0", "2 -1 2 -1 2 -1", "", false},
		"a share of nothing":            {"1", "", "NaN NaN NaN NaN NaN NaN", "", false},
		"no value":                      {"1", "", "", "", true},
		"beyond all bounds":             {"1", "", "+Inf +Inf +Inf +Inf +Inf +Inf", "was above 1", false},
		"a limit of zero that is meant": {"0", "", "0.1 0.1 0.1 0.1 0.1 0.1", "was above 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			var values []float64
			for _, text := range strings.Fields(test.values) {
				value, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			failed, err := judgeMetric(metricQuestion{name: "x", max: test.max, min: test.min, lasting: 10 * time.Second}, values)
			if (err != nil) != test.unknown || (failed != "") != (test.fails != "") || !strings.Contains(failed, test.fails) {
				t.Errorf("it says %q, %v", failed, err)
			}
		})
	}
}
