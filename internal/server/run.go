package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers on the listeners until the context ends, then stops in order:
// /readyz turns 503, the shutdown delay passes with every answer closing its
// connection, and what is still running gets the drain timeout. The metrics
// listener may be nil; it stops last.
func (s *Server) Serve(ctx context.Context, api, metrics net.Listener) error {
	public := s.httpServer(s.handler)
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(api) }()
	if metrics != nil {
		private := s.httpServer(s.MetricsHandler())
		go func() { failed <- private.Serve(metrics) }()
		defer func() { _ = private.Close() }()
	}
	select {
	case err := <-failed:
		_ = public.Close()
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	return s.drain(public)
}

func (s *Server) drain(public *http.Server) error {
	s.draining.Store(true)
	s.options.Logger.Info("stopping", "delay", s.options.ShutdownDelay.String(), "drain", s.options.DrainTimeout.String())
	time.Sleep(s.options.ShutdownDelay)
	ctx, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	err := public.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		_ = public.Close()
		return fmt.Errorf("stop: some requests did not end within %s and were cut off; raise --drain-timeout", s.options.DrainTimeout)
	}
	s.options.Logger.Info("stopped")
	return err
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       imageReadTimeout + 5*time.Second,
		WriteTimeout:      imageReadTimeout + s.options.RequestTimeout + 5*time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}
}
