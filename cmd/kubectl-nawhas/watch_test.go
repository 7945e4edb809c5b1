package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestAWatchOutlastsAnAPIServerThatRefuses(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")
	for code, says := range map[int]string{
		http.StatusInternalServerError: "cannot answer now", http.StatusServiceUnavailable: "cannot answer now", http.StatusGatewayTimeout: "cannot answer now",
		http.StatusTooManyRequests: "cannot answer now", http.StatusForbidden: "nawhasrelease-viewer", http.StatusUnauthorized: "does not accept your credentials",
	} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			// Once to find the release, and once to show it.
			server := refusing(t, 2, 3, code)
			got := runWith(t.Context(), "status", "nawhas", "-w", "--timeout", "4500ms", "--kubeconfig", server, "-n", r.namespace)
			got.expect(t, exitTimedOut, says)
			if lines := strings.Count(got.out, "replaying 61 %"); lines != 2 {
				t.Errorf("it did not go on:\n%s", got.out)
			}
		})
	}
	t.Run("at the beginning", func(t *testing.T) {
		got := runWith(t.Context(), "status", "nawhas", "-w", "--timeout", "4s", "--kubeconfig", refusing(t, 0, 1, http.StatusServiceUnavailable), "-n", r.namespace)
		got.expect(t, exitUnread, "cannot answer now")
	})
}

func TestAWatchEndsWithItsRelease(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")
	server := refusing(t, 2, 9, http.StatusNotFound)
	runWith(t.Context(), "status", "nawhas", "-w", "--timeout", "5s", "--kubeconfig", server, "-n", r.namespace).expect(t, exitUsage, "replaying 61 %", "not found")
}

// refusing is the kubeconfig of a cluster that answers the first requests for a
// release, and refuses those after them up to another number.
func refusing(t *testing.T, first, last int64, code int) string {
	t.Helper()
	behind, err := url.Parse(lab.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(lab.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/nawhasreleases/nawhas") {
			if n := asked.Add(1); n > first && n <= last {
				answer(w, code)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["it"] = &clientcmdapi.Context{Cluster: "it"}
	config.CurrentContext = "it"
	file := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// answer is what an API server says with a code.
func answer(w http.ResponseWriter, code int) {
	reason := map[int]string{http.StatusForbidden: "Forbidden", http.StatusUnauthorized: "Unauthorized", http.StatusNotFound: "NotFound",
		http.StatusTooManyRequests: "TooManyRequests", http.StatusServiceUnavailable: "ServiceUnavailable", http.StatusInternalServerError: "InternalError",
		http.StatusGatewayTimeout: "Timeout"}[code]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"it is not found or refused"}`, reason, code)
}
