package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
)

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// observe is the outermost layer: headers that every answer has, a time limit,
// the access log and the metrics. It logs routes and statuses, no bodies and no
// query strings.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		id := r.Header.Get("X-Request-Id")
		if !requestID.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set("Nawhas-Version", s.options.Version)
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		// An operation's own time begins when its body is there.
		ctx, cancel := context.WithTimeout(r.Context(), imageReadTimeout+s.options.RequestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		recorder := &recorder{ResponseWriter: w}
		next.ServeHTTP(recorder, r)
		s.record(r, recorder, id, time.Since(started))
	})
}

func (s *Server) record(r *http.Request, w *recorder, id string, took time.Duration) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	route := r.Pattern
	if _, path, found := strings.Cut(route, " "); found {
		route = path
	}
	level := slog.LevelInfo
	switch route {
	case "":
		route = "none"
	case "/healthz", "/readyz":
		level = slog.LevelDebug
	}
	s.metrics.answered(knownMethod(r.Method), route, status, took)
	s.options.Logger.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", w.bytes), slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("request", id), slog.String("remote", r.RemoteAddr))
}

// knownMethod keeps a client from making a metric's label of anything it sends.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			s.options.Logger.ErrorContext(r.Context(), "a handler panicked", "route", r.Pattern, "panic", cause, "stack", string(debug.Stack()))
			if recorder, ok := w.(*recorder); ok && recorder.status == 0 {
				writeProblem(w, http.StatusInternalServerError, "the request failed for a reason that is in the server's log")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// unrouted gives what the mux answers by itself, 404 and 405, the shape of
// every other problem.
func unrouted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		own := &discarded{header: http.Header{}}
		answer.ServeHTTP(own, r)
		if allow := own.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			writeProblem(w, http.StatusMethodNotAllowed, "this address answers "+allow)
			return
		}
		writeProblem(w, http.StatusNotFound, "there is nothing at this address; /docs lists what there is")
	})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// discarded is an answer of which only the headers are of interest.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header            { return d.header }
func (d *discarded) Write(data []byte) (int, error) { return len(data), nil }
func (d *discarded) WriteHeader(int)                {}
