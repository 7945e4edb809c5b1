//go:build monitoring

package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/test/node"
)

// Where Prometheus runs in a cluster, by config/prometheus/reader.yaml.
const (
	monitoringNamespace = "monitoring"
	account             = "prometheus"
)

// prometheus is a server that reads the operator's metrics each second.
type prometheus struct {
	address string
	started time.Time
	rules   []rule
	fired   map[string]bool
}

type rule struct {
	Alert string `json:"alert"`
	Expr  string `json:"expr"`
}

// series is one series of an answer. Values holds one or many points.
type series struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"`
}

// startPrometheus gives Prometheus the rights of reader.yaml and the settings of
// scrape.yaml and rules.yaml. It runs outside of the cluster, so that it is told
// where the API server is; and it is in a hurry.
func startPrometheus(t *testing.T) *prometheus {
	t.Helper()
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", "config/components/service-monitor/metrics_service.yaml"},
		{"apply", "--server-side", "-f", "config/prometheus/reader.yaml"},
	} {
		kubectl(t, args...)
	}
	ensureAccount(t)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "token"), kubectl(t, "-n", monitoringNamespace, "create", "token", account, "--duration", "2h"))
	p := &prometheus{started: time.Now(), fired: map[string]bool{}}
	write(t, filepath.Join(folder, "prometheus.yaml"), scrapeConfig(t, folder))
	write(t, filepath.Join(folder, "rules.yaml"), p.hurriedRules(t))

	p.address = nodeAddress(t)
	program := filepath.Join(shared.Root, "bin", "tools", "prometheus")
	cmd := exec.Command(program, "--config.file", filepath.Join(folder, "prometheus.yaml"), "--storage.tsdb.path", filepath.Join(folder, "data"),
		"--web.listen-address", p.address, "--log.level", "warn", "--query.lookback-delta", "10s")
	log, err := os.Create(filepath.Join(folder, "prometheus.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Prometheus (make bin/tools/prometheus unpacks it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("Prometheus said:\n%s", content)
		}
	})
	node.Until(t, "reading the operator's metrics", func(ctx context.Context) bool { return p.one(ctx, `up{job="nawhas-operator-metrics"}`) == 1 })
	return p
}

func ensureAccount(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"create", "namespace", monitoringNamespace}, {"-n", monitoringNamespace, "create", "serviceaccount", account},
	} {
		if _, err := shared.Kubectl(t.Context(), args...); err != nil && !strings.Contains(err.Error(), "already exists") {
			t.Fatal(err)
		}
	}
}

// scrapeConfig is scrape.yaml, with the Service's address in place of a search in
// the cluster: Debian's Prometheus is built without it. What is done to what is
// found stays.
func scrapeConfig(t *testing.T, folder string) string {
	t.Helper()
	config := map[string]any{}
	readYAML(t, "config/prometheus/scrape.yaml", &config)
	job, _ := config["scrape_configs"].([]any)[0].(map[string]any)
	job["authorization"] = map[string]any{"credentials_file": filepath.Join(folder, "token")}
	job["scrape_interval"] = "1s"
	delete(job, "kubernetes_sd_configs")
	host := kubectl(t, "-n", cluster.OperatorNamespace, "get", "service", "nawhas-operator-metrics", "-o", "jsonpath={.spec.clusterIP}")
	job["static_configs"] = []any{map[string]any{"targets": []string{net.JoinHostPort(host, "8443")}, "labels": map[string]string{
		"__meta_kubernetes_service_name": "nawhas-operator-metrics", "__meta_kubernetes_endpointslice_port_name": "metrics",
		"__meta_kubernetes_pod_name": "nawhas-operator-0",
	}}}
	config["global"] = map[string]any{"evaluation_interval": "1s"}
	config["rule_files"] = []string{filepath.Join(folder, "rules.yaml")}
	return toYAML(t, config)
}

// mayFindTheOperator asks for the rights that the search takes.
func mayFindTheOperator(t *testing.T) {
	for _, resource := range []string{"endpointslices.discovery.k8s.io", "services", "pods"} {
		for _, verb := range []string{"list", "watch"} {
			kubectl(t, "auth", "can-i", verb, resource, "-n", cluster.OperatorNamespace, "--as", "system:serviceaccount:"+monitoringNamespace+":"+account)
		}
	}
}

// minutes are how far back a rule looks.
var minutes = regexp.MustCompile(`\[[0-9]+m\]`)

// hurriedRules are the alerts of rules.yaml; each fires after two seconds, and
// looks seconds back instead of minutes.
func (p *prometheus) hurriedRules(t *testing.T) string {
	t.Helper()
	var file struct {
		Spec struct {
			Groups []map[string]any `json:"groups"`
		} `json:"spec"`
	}
	readYAML(t, "config/prometheus/rules.yaml", &file)
	for _, group := range file.Spec.Groups {
		rules, _ := group["rules"].([]any)
		for _, r := range rules {
			r, _ := r.(map[string]any)
			r["for"] = "2s"
			r["expr"] = minutes.ReplaceAllString(fmt.Sprint(r["expr"]), "[15s]")
			p.rules = append(p.rules, rule{Alert: fmt.Sprint(r["alert"]), Expr: fmt.Sprint(r["expr"])})
		}
	}
	return toYAML(t, map[string]any{"groups": file.Spec.Groups})
}

// readersAreAsked wants the metrics to be refused to others, and the endpoint not
// to talk in the clear.
func (p *prometheus) readersAreAsked(t *testing.T) {
	service := fmt.Sprintf("/api/v1/namespaces/%s/services/https:nawhas-operator-metrics:8443/proxy/metrics", cluster.OperatorNamespace)
	out, err := shared.Kubectl(t.Context(), "get", "--raw", service)
	if err == nil || !strings.Contains(err.Error(), "Unauthorized") && !strings.Contains(err.Error(), "provide credentials") {
		t.Errorf("somebody without a token reads the metrics: %v %.200s", err, out)
	}
}

// everyAlertFired wants no alert to be left out of the troubles.
func (p *prometheus) everyAlertFired(t *testing.T) {
	for _, r := range p.rules {
		if !p.fired[r.Alert] {
			t.Errorf("%s did not fire", r.Alert)
		}
	}
}

// firing reports whether an alert fires, for a release if the alert names one.
func (p *prometheus) firing(ctx context.Context, alert, namespace string) (bool, error) {
	found, err := p.query(ctx, fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing", namespace=~"%s|"}`, alert, namespace))
	return len(found) > 0, err
}

// one is the value of the only series that a query finds, or -1.
func (p *prometheus) one(ctx context.Context, query string) float64 {
	found, err := p.query(ctx, query)
	if err != nil || len(found) != 1 || len(found[0].Values) != 1 {
		return -1
	}
	value, err := strconv.ParseFloat(fmt.Sprint(found[0].Values[0][1]), 64)
	if err != nil {
		return -1
	}
	return value
}

// query asks for the series at the moment.
func (p *prometheus) query(ctx context.Context, query string) ([]series, error) {
	return p.ask(ctx, "query", url.Values{"query": {query}})
}

// history asks for the series since Prometheus started, second by second.
func (p *prometheus) history(ctx context.Context, query string) ([]series, error) {
	return p.ask(ctx, "query_range", url.Values{
		"query": {query}, "start": {fmt.Sprint(p.started.Unix())}, "end": {fmt.Sprint(time.Now().Unix())}, "step": {"1"},
	})
}

func (p *prometheus) ask(ctx context.Context, kind string, parameters url.Values) ([]series, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/api/v1/"+kind+"?"+parameters.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
				Values [][2]any          `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("understand Prometheus: %w", err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("prometheus refuses %s: %s", parameters.Get("query"), answer.Error)
	}
	var found []series
	for _, r := range answer.Data.Result {
		if r.Values == nil {
			r.Values = [][2]any{r.Value}
		}
		found = append(found, series{r.Metric, r.Values})
	}
	return found, nil
}

// nodeAddress is a free one on the node, where pods reach it.
func nodeAddress(t *testing.T) string {
	t.Helper()
	host := kubectl(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(shared.Root, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatal(path, err)
	}
}

func toYAML(t *testing.T, value any) string {
	t.Helper()
	content, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
