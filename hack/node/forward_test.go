package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestForwardOf(t *testing.T) {
	for _, test := range []struct {
		args         []string
		port, target string
	}{
		{[]string{"8080"}, "8080", "127.0.0.1:8080"},
		{[]string{"8080", "10.96.0.20:80"}, "8080", "10.96.0.20:80"},
		{nil, "", ""},
		{[]string{"0"}, "", ""},
		{[]string{"65536"}, "", ""},
		{[]string{"http"}, "", ""},
		{[]string{"8080", "nawhas-api"}, "", ""},
		{[]string{"8080", "10.96.0.20:80", "more"}, "", ""},
	} {
		port, target, err := forwardOf(test.args)
		if port != test.port || target != test.target || (err == nil) != (test.port != "") {
			t.Errorf("%v is %q and %q (%v)", test.args, port, target, err)
		}
	}
}

// What is asked outside is answered inside, over many connections at once.
func TestRelay(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	}))
	defer target.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- relay(ctx, listener, target.Listener.Addr().String()) }()

	t.Run("connections", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				if said := ask(t, listener, fmt.Sprint("/", i)); said != fmt.Sprintf("/%d hello", i) {
					t.Errorf("it says %q", said)
				}
			})
		}
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func ask(t *testing.T, listener net.Listener, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+path, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
