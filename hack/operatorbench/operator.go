package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// operator is the program that is measured.
type operator struct {
	*process
	metrics, health, profiles string
}

// environment is what config/manager gives the operator, and what it does not give
// although the benchmark's other programs have it.
var environment = []string{"GOMEMLIMIT=130MiB", "GOGC=100"}

func startOperator(ctx context.Context, program, kubeconfig, out string) (*operator, error) {
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	health, err := freeAddress()
	if err != nil {
		return nil, err
	}
	profiles, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log := filepath.Join(out, "operator-manager.log")
	started, err := begin(log, program, []string{"--metrics-secure=false", "--metrics-bind-address=" + metrics, "--health-probe-bind-address=" + health, "--pprof-bind-address=" + profiles},
		append([]string{"KUBECONFIG=" + kubeconfig}, environment...))
	if err != nil {
		return nil, err
	}
	o := &operator{started, "http://" + metrics + "/metrics", "http://" + health + "/readyz", "http://" + profiles + "/debug/pprof/"}
	for range 300 {
		if o.ready(ctx) {
			return o, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return o, fmt.Errorf("the operator did not become ready; see %s", log)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

func (o *operator) ready(ctx context.Context) bool {
	answer, err := get(ctx, o.health)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func get(ctx context.Context, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

func (o *operator) stop() { o.end() }

// rss is the memory that the process has now, and the most that it has had, in
// MiB.
func (o *operator) rss() (now, most float64, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory of the operator: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kilobytes / 1024
		case "VmHWM:":
			most = kilobytes / 1024
		}
	}
	return now, most, nil
}

// told is what the operator's metrics say at a moment.
type told struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

func (o *operator) scrape(ctx context.Context) (told, error) {
	answer, err := get(ctx, o.metrics)
	if err != nil {
		return told{}, fmt.Errorf("read the operator's metrics: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return told{}, fmt.Errorf("read the operator's metrics: %w", err)
	}
	return told{time.Now(), families}, nil
}

// sum adds up a counter's series that have a label with one of some values, or
// all when no label is given.
func (t told) sum(name, label string, values ...string) float64 {
	total := 0.0
	family, ok := t.families[name]
	if !ok {
		return 0
	}
	for _, series := range family.GetMetric() {
		if label == "" || has(series, label, values) {
			total += series.GetCounter().GetValue() + series.GetGauge().GetValue()
		}
	}
	return total
}

func has(series *dto.Metric, label string, values []string) bool {
	for _, pair := range series.GetLabel() {
		if pair.GetName() != label {
			continue
		}
		for _, value := range values {
			if pair.GetValue() == value {
				return true
			}
		}
	}
	return false
}

const requests = "rest_client_requests_total"

// writes and reads are the operator's requests to the API server. A watch is
// one read, however much it tells.
func (t told) writes() float64 { return t.sum(requests, "method", "POST", "PUT", "PATCH", "DELETE") }
func (t told) reads() float64  { return t.sum(requests, "method", "GET") }

// histogram is how often a duration was how long.
type histogram struct {
	bounds []float64
	counts []float64 // cumulated
	total  float64
	sum    float64
}

func (t told) histogram(name string) histogram {
	h := histogram{}
	family, ok := t.families[name]
	if !ok {
		return h
	}
	for _, series := range family.GetMetric() {
		found := series.GetHistogram()
		h.total += float64(found.GetSampleCount())
		h.sum += found.GetSampleSum()
		for i, bucket := range found.GetBucket() {
			if i == len(h.bounds) {
				h.bounds, h.counts = append(h.bounds, bucket.GetUpperBound()), append(h.counts, 0)
			}
			h.counts[i] += float64(bucket.GetCumulativeCount())
		}
	}
	return h
}

func (h histogram) minus(earlier histogram) histogram {
	late := histogram{bounds: h.bounds, counts: append([]float64(nil), h.counts...), total: h.total - earlier.total, sum: h.sum - earlier.sum}
	for i := range earlier.counts {
		late.counts[i] -= earlier.counts[i]
	}
	return late
}

// quantile is the duration that a part of all was not longer than, between the
// bounds by proportion.
func (h histogram) quantile(q float64) float64 {
	if h.total == 0 {
		return 0
	}
	wanted, below, from := q*h.total, 0.0, 0.0
	for i, bound := range h.bounds {
		if math.IsInf(bound, 1) {
			break
		}
		if h.counts[i] >= wanted {
			if h.counts[i] == below {
				return bound
			}
			return from + (bound-from)*(wanted-below)/(h.counts[i]-below)
		}
		below, from = h.counts[i], bound
	}
	return from
}

func intstrOf(port int32) intstr.IntOrString { return intstr.FromInt32(port) }
