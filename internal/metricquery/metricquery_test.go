package metricquery

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// serve answers every request alike, and tells what it was asked.
func serve(t *testing.T, status int, body string, asked *http.Request) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked != nil {
			*asked = *r.Clone(r.Context())
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func ask(t *testing.T, address string) ([]float64, error) {
	t.Helper()
	to := time.UnixMilli(1_700_000_010_500)
	return (&Client{}).Range(t.Context(), address, "up == 1", to.Add(-10*time.Second), to, 2*time.Second)
}

func TestValuesAreInOrder(t *testing.T) {
	var asked http.Request
	address := serve(t, http.StatusOK, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"0.5"],[3,"NaN"],[5,"+Inf"],[7,"-2"]]}]}}`, &asked)
	values, err := ask(t, address+"/prefix/")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values[:1], []float64{0.5}) || values[1] == values[1] || values[3] != -2 || len(values) != 4 {
		t.Errorf("the values are %v", values)
	}
	if got := asked.URL.String(); got != "/prefix/api/v1/query_range?end=1700000010.500&query=up+%3D%3D+1&start=1700000000.500&step=2.000" {
		t.Errorf("it asks %s", got)
	}
}

func TestAnswersThatAreNoNumber(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"a query that is wrong":  {http.StatusBadRequest, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}`, "refuses the query: parse error"},
		"more than one series":   {http.StatusOK, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[]},{"values":[]}]}}`, "finds 2 series"},
		"a page for people":      {http.StatusOK, `<html>`, "not as Prometheus does"},
		"a proxy that is closed": {http.StatusBadGateway, `bad gateway`, "502 Bad Gateway"},
		"a redirect":             {http.StatusFound, ``, "302 Found"},
		"a scalar":               {http.StatusOK, `{"status":"success","data":{"resultType":"scalar","result":[]}}`, "not as Prometheus does"},
		"a value that is none":   {http.StatusOK, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"much"]]}]}}`, "understand a value"},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := ask(t, serve(t, test.status, test.body, nil))
			if err == nil || !strings.Contains(err.Error(), test.says) || values != nil {
				t.Errorf("it gives %v, %v; it should say %q", values, err, test.says)
			}
		})
	}
	_, err := ask(t, serve(t, http.StatusOK, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[]},{"values":[]}]}}`, nil))
	if many := (&ManyError{}); !errors.As(err, &many) || many.Series != 2 {
		t.Errorf("the error is %v", err)
	}
}

func TestNothingIsFound(t *testing.T) {
	values, err := ask(t, serve(t, http.StatusOK, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, nil))
	if err != nil || len(values) != 0 {
		t.Errorf("it gives %v, %v", values, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := ask(t, server.URL)
	if err == nil || strings.Contains(err.Error(), "query=") {
		t.Errorf("it says %v", err)
	}
}
