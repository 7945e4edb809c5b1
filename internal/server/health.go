package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

const readyTimeout = 2 * time.Second

// health says that the process answers; it never looks at a database, so that
// an outage of Postgres restarts no pod.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"status": "ok", "version": s.options.Version})
}

// ready says that this server should get requests: it is not stopping, and its
// version's database answers and is built to the end. The source is not asked:
// reads go on without it.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		writeProblem(w, http.StatusServiceUnavailable, "this server is stopping")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	stage, position, err := s.catalogue.stage(ctx)
	switch {
	case err != nil:
		s.options.Logger.WarnContext(ctx, "not ready: the version's database does not answer", "error", err)
		writeProblem(w, http.StatusServiceUnavailable, "the version's database does not answer, or has no checkpoint yet")
	case stage != "complete":
		writeProblem(w, http.StatusServiceUnavailable, "the version's database is still being built; its stage is "+stage)
	default:
		writeJSON(w, map[string]any{"status": "ready", "version": s.options.Version, "position": position})
	}
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
