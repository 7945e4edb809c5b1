package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/blob"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// Limits that have no flag: they protect the process, not a policy.
const (
	maxCommandBytes = 64 << 10
	maxImageBytes   = 5 << 20
	maxHeaderBytes  = 32 << 10
	tideInterval    = 10 * time.Millisecond
)

// Options are what a server needs. Both pools may be unreachable when the
// server starts; /readyz tells until the version's database answers.
type Options struct {
	// Version is reported by every response.
	Version string
	// Shelves says that the version's database has slugs and counts of albums.
	Shelves bool
	// Database is the version's database; the server only reads it.
	Database *pgxpool.Pool
	// Source holds the log that commands append to.
	Source *pgxpool.Pool
	Log    *eventlog.Log
	// Uploads stores images. Without it uploads are refused.
	Uploads *blob.Bucket
	// ReadWait bounds how long a request waits for a position.
	ReadWait time.Duration
	// RequestTimeout bounds a request, from when its body is there.
	RequestTimeout time.Duration
	// ShutdownDelay is how long a stopping server goes on accepting work, so
	// that routes to it can disappear first; DrainTimeout bounds what follows.
	ShutdownDelay time.Duration
	DrainTimeout  time.Duration
	Logger        *slog.Logger
}

// Server answers the API. Its methods are safe for concurrent use.
type Server struct {
	options   Options
	api       huma.API
	catalogue *catalogue
	pen       *pen
	tide      *tide
	metrics   *metrics
	handler   http.Handler
	draining  atomic.Bool
}

// New builds a server and its documents. It opens no connection.
func New(options Options) (*Server, error) {
	if options.Database == nil || options.Source == nil || options.Log == nil {
		return nil, fmt.Errorf("build the server: it needs the version's database, the source and a log")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	s := &Server{
		options:   options,
		catalogue: newCatalogue(options.Database, options.Shelves),
		pen:       newPen(options.Log, options.Source),
	}
	s.tide = newTide(s.catalogue.position, tideInterval)
	s.catalogue.fell = s.tide.fall
	s.metrics = newMetrics(options.Version, s)
	mux := http.NewServeMux()
	s.api = humago.New(mux, apiConfig(options.Version))
	s.registerReciters()
	s.registerAlbums()
	s.registerRevisions()
	s.registerUploads()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	if err := s.registerDocuments(mux); err != nil {
		return nil, err
	}
	s.handler = s.observe(s.recoverPanics(unrouted(mux)))
	return s, nil
}

// Handler is the whole API, for a listener of the caller's own.
func (s *Server) Handler() http.Handler { return s.handler }

// MetricsHandler exposes the server's metrics in Prometheus' format. It is kept
// apart from Handler so that the public port does not show it.
func (s *Server) MetricsHandler() http.Handler { return s.metrics.handler() }
