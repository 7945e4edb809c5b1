// Command demo shows releases on a real cluster: it fills a log, installs the
// operator, applies config/samples, follows the release until its version is
// live, and reads through the Service. Then it goes to the next version, back
// and forward again while readers and writers work, and audits the log and all
// databases without the engine.
//
// It leaves everything running, and ends with 1 when anything was found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const (
	namespace = "nawhas"
	release   = "nawhas"
	service   = "nawhas-api"
	goLive    = 10 * time.Minute
)

var errFindings = errors.New("the audit found differences between the log and the database")

func main() {
	events := flag.Int64("events", 100_000, "events in the log")
	seed := flag.Int64("seed", 1, "seed of the generated log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *events, *seed)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, events, seed int64) error {
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	c, err := cluster.Connect(root)
	if err != nil {
		return err
	}
	s := newSummary()
	if err := s.time("log", func() error { return fillLog(ctx, c, events, seed) }); err != nil {
		return err
	}
	if err := s.time("operator", func() error { return c.InstallOperator(ctx) }); err != nil {
		return err
	}
	if err := c.Prepare(ctx, namespace, c.SourceURL); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "apply", "-k", filepath.Join(root, "config", "samples")); err != nil {
		return fmt.Errorf("apply the sample: %w", err)
	}
	database, err := follow(ctx, c, s)
	if err != nil {
		return err
	}
	if err := read(ctx, c); err != nil {
		return err
	}
	if err := auditFirst(ctx, c, s, database); err != nil {
		return err
	}
	if err := underLoad(ctx, c, s); err != nil {
		return err
	}
	return conclude(c, s)
}

// fillLog makes the log and generates events, unless there are enough already.
func fillLog(ctx context.Context, c *cluster.Cluster, events, seed int64) error {
	nawhas := filepath.Join(c.Root, "bin", "linux", "nawhas")
	if err := show(ctx, nawhas, "source", "init"); err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	source, err := pgx.Connect(ctx, c.SourceURL)
	if err != nil {
		return fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	var present int64
	if err := source.QueryRow(ctx, "SELECT count(*) FROM events").Scan(&present); err != nil {
		return fmt.Errorf("count the events: %w", err)
	}
	if present > 0 {
		fmt.Printf("the log has %d events already\n", present)
		return nil
	}
	return show(ctx, nawhas, "generate", "--events", fmt.Sprint(events), "--seed", fmt.Sprint(seed))
}

// read is what a client sees. Nodes take a moment to learn of a new Service.
func read(ctx context.Context, c *cluster.Cluster) error {
	var reciter cluster.Reciter
	var err error
	bounded, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	unreachable := cluster.Until(bounded, look, func() (bool, error) {
		reciter, err = c.ReadReciter(bounded, namespace, service)
		return err == nil, nil
	})
	if unreachable != nil {
		return errors.Join(unreachable, err)
	}
	fmt.Printf("read through the Service %s: %q (%s), answered by version %s\n", service, reciter.Name, reciter.Slug, reciter.Version)
	return nil
}

// auditFirst compares the first version's database with the log.
func auditFirst(ctx context.Context, c *cluster.Cluster, s *summary, database string) error {
	fmt.Println("auditing the database against the log, in SQL and without the engine")
	source, err := sourceURL(c)
	if err != nil {
		return err
	}
	databaseURL, err := onDatabase(c.AuditURL, database)
	if err != nil {
		return err
	}
	return s.time("audit", func() error {
		findings, err := audit.Run(ctx, source, databaseURL)
		s.add(findings)
		return err
	})
}

// sourceURL is the log as the auditor reads it.
func sourceURL(c *cluster.Cluster) (string, error) {
	if c.AuditURL == c.DatabasesURL {
		return c.SourceURL, nil
	}
	return onDatabase(c.AuditURL, "source")
}

func conclude(c *cluster.Cluster, s *summary) error {
	if err := s.write(filepath.Join(c.Root, "bin", "demo", "summary.json")); err != nil {
		return err
	}
	s.print(c)
	if s.Lost+s.Duplicated+s.Reordered+s.Wrong > 0 {
		return errFindings
	}
	if s.FailedRequests+s.StaleReads > 0 {
		return errUnderLoad
	}
	return nil
}

func show(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(name), args[0], err)
	}
	return nil
}
