// Package testbed is what the measurements stand on: a throw-away Postgres, its
// databases, the programs that are measured, and the facts of the machine.
//
// It does not know what is measured or what would be good.
package testbed

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

// settings are those of every server, whoever loads it. They are meant for a
// bulk load that must survive a crash: everything that makes a commit durable
// stays on.
var settings = []string{
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "wal_level=replica",
	"shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=15min", "maintenance_work_mem=128MB", "work_mem=64MB",
	"max_parallel_workers=2", "max_parallel_maintenance_workers=2", "jit=off",
}

// Settings tells how every server is set.
func Settings() string { return strings.Join(settings, ", ") }

// Server is a throw-away Postgres on the loopback address. It is used by one
// goroutine at a time.
type Server struct {
	*pgtest.Server
	admin *pgx.Conn
}

// Start starts a server with the common settings and some more.
func Start(ctx context.Context, more ...string) (*Server, error) {
	server, err := pgtest.Start(append(append([]string{}, settings...), more...)...)
	if err != nil {
		return nil, fmt.Errorf("start a Postgres to measure on: %w", err)
	}
	admin, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("connect to the Postgres to measure on: %w", err)
	}
	return &Server{Server: server, admin: admin}, nil
}

// Close stops the server and removes its data.
func (s *Server) Close() {
	_ = s.admin.Close(context.Background())
	s.Server.Close()
}

// Version is the server's own.
func (s *Server) Version(ctx context.Context) (string, error) {
	var version string
	if err := s.admin.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return "", fmt.Errorf("ask Postgres for its version: %w", err)
	}
	return version, nil
}

// Create makes an empty database in place of one of that name.
func (s *Server) Create(ctx context.Context, database string) error {
	if err := s.Drop(ctx, database); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("create the database %s: %w", database, err)
	}
	return nil
}

// Drop removes a database if it is there.
func (s *Server) Drop(ctx context.Context, database string) error {
	if _, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{database}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop the database %s: %w", database, err)
	}
	return nil
}

// Settle writes out what earlier work has left, so that it does not weigh on
// the next.
func (s *Server) Settle(ctx context.Context) error {
	if _, err := s.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("write out what is left of earlier work: %w", err)
	}
	return nil
}

// On runs work with a connection to a database.
func (s *Server) On(ctx context.Context, database string, work func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return fmt.Errorf("connect to the database %s: %w", database, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return work(conn)
}
