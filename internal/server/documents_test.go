package server

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestTheDocumentsDescribeEveryOperation(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 { // together, because documents that are made on demand race
		wg.Go(func() { w.send("GET", "/openapi.json", "") })
	}
	wg.Wait()
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]any
		}
	}
	must(t, json.Unmarshal(w.expect(200, "GET", "/openapi.json", "").raw, &document))
	page := string(w.expect(200, "GET", "/docs", "").raw)
	operations := 0
	for path, methods := range document.Paths {
		for method, operation := range methods {
			operations++
			if !strings.Contains(page, `id="`+operation.OperationID+`"`) {
				t.Errorf("the page lacks %s %s", method, path)
			}
			if operation.Responses["503"] == nil && operation.OperationID != "get-upload" {
				t.Errorf("%s does not say that it may be unavailable", operation.OperationID)
			}
		}
	}
	if operations != 15 || document.OpenAPI != "3.1.0" {
		t.Errorf("%d operations in OpenAPI %s", operations, document.OpenAPI)
	}
	w.expect(200, "GET", "/openapi.yaml", "")
}

func TestThePageLoadsNothing(t *testing.T) {
	w := newWorld(t)
	r := w.expect(200, "GET", "/docs", "")
	if found := regexp.MustCompile(`(?i)<script|<link|<img|@import|url\(|https?://`).Find(r.raw); found != nil {
		t.Errorf("the page has %s", found)
	}
	if policy := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("the page's policy is %q", policy)
	}
}

func TestMetricsCountRequestsAndCommands(t *testing.T) {
	w := newWorld(t)
	w.expect(201, "POST", "/v1/reciters", `{"name": "Ali"}`)
	w.expect(404, "GET", "/v1/reciters/nobody", "")
	w.expect(404, "GET", "/nowhere/"+strings.Repeat("x", 50), "")
	w.expect(405, "BREW", "/v1/reciters", "")
	metrics := w.metrics()
	for _, line := range []string{
		`nawhas_http_requests_total{code="201",method="POST",route="/v1/reciters"} 1`,
		`nawhas_http_requests_total{code="404",method="GET",route="/v1/reciters/{reciter}"} 1`,
		`nawhas_http_requests_total{code="404",method="GET",route="none"} 1`,
		`nawhas_http_requests_total{code="405",method="other",route="none"} 1`,
		`nawhas_commands_total{event="ReciterCreated",outcome="appended"} 1`,
		`nawhas_database_connections{database="source",state="limit"}`,
		`version="3.1.2"`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no %s", line)
		}
	}
	w.expect(404, "GET", "/metrics", "")
}

func TestTheAccessLogHoldsRoutesAndNoPayloads(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	w.expect(201, "POST", "/v1/reciters?token=hunter2", `{"name": "Verysecret"}`, "X-Request-Id", "abc-1")
	w.expect(200, "GET", "/v1/reciters/nadeem", "", "X-Request-Id", "not an id")
	log := w.log.String()
	if !strings.Contains(log, `"request":"abc-1"`) || !strings.Contains(log, `"route":"/v1/reciters/{reciter}"`) {
		t.Errorf("the log is %s", log)
	}
	for _, leak := range []string{"hunter2", "Verysecret", "nadeem", "not an id"} {
		if strings.Contains(log, leak) {
			t.Errorf("the log has %q", leak)
		}
	}
}
