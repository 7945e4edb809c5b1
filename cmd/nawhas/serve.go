package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/server"
)

type serveFlags struct {
	database, source                        *connection
	listen, metricsListen, uploads          string
	readWait, request, shutdownDelay, drain time.Duration
	databaseConnections, sourceConnections  int32
}

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Serve the HTTP API of the version's database", Args: cobra.NoArgs,
		Long: "serve answers reads from the version's database and appends an event to the log for every command.\n" +
			"It starts while a database is away; /readyz says when requests may come. On SIGTERM /readyz turns 503,\n" +
			"--shutdown-delay passes, and running requests get --drain-timeout."}
	f := &serveFlags{database: databaseFlag(cmd), source: sourceFlag(cmd)}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", ":8080", "address of the API")
	flags.StringVar(&f.metricsListen, "metrics-listen", ":9090", "address of /metrics, apart from the API's; empty for none")
	flags.StringVar(&f.uploads, "uploads-url", os.Getenv("NAWHAS_UPLOADS_URL"),
		"storage of images: file:///folder?create_dir=1 or mem:// (default $NAWHAS_UPLOADS_URL; empty refuses uploads)")
	flags.DurationVar(&f.readWait, "read-wait", 2*time.Second, "how long a request waits for the position it names")
	flags.DurationVar(&f.request, "request-timeout", 15*time.Second, "how long a request may take")
	flags.DurationVar(&f.shutdownDelay, "shutdown-delay", 0, "how long to go on accepting requests after SIGTERM")
	flags.DurationVar(&f.drain, "drain-timeout", 20*time.Second, "how long running requests may take to end after that")
	flags.Int32Var(&f.databaseConnections, "database-connections", 10, "most connections to the version's database")
	flags.Int32Var(&f.sourceConnections, "source-connections", 5, "most connections to the source")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.serve(cmd.Context()) }
	return cmd
}

func (f *serveFlags) serve(ctx context.Context) error {
	if err := f.check(); err != nil {
		return err
	}
	edition, err := ownEdition()
	if err != nil {
		return err
	}
	log, err := describedLog()
	if err != nil {
		return err
	}
	if err := log.Appendable(); err != nil {
		return &usageError{err}
	}
	database, err := f.database.pool(ctx, "serve", f.databaseConnections)
	if err != nil {
		return err
	}
	defer database.Close()
	source, err := f.source.pool(ctx, "serve", f.sourceConnections)
	if err != nil {
		return err
	}
	defer source.Close()
	uploads, err := server.OpenUploads(ctx, f.uploads)
	if err != nil {
		return &usageError{err}
	}
	if uploads != nil {
		defer func() { _ = uploads.Close() }()
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("version", buildinfo.Version)
	s, err := server.New(server.Options{Version: buildinfo.Version, Shelves: edition.Shelves, Database: database, Source: source,
		Log: log, Uploads: uploads, ReadWait: f.readWait, RequestTimeout: f.request,
		ShutdownDelay: f.shutdownDelay, DrainTimeout: f.drain, Logger: logger})
	if err != nil {
		return err
	}
	api, metrics, err := f.listeners(ctx)
	if err != nil {
		return err
	}
	logger.Info("serving", "listen", api.Addr().String())
	return s.Serve(ctx, api, metrics)
}

func (f *serveFlags) check() error {
	if f.databaseConnections < 1 || f.sourceConnections < 1 {
		return usage("--database-connections and --source-connections must be at least 1")
	}
	if f.readWait <= 0 || f.request <= 0 || f.drain <= 0 || f.shutdownDelay < 0 {
		return usage("--read-wait, --request-timeout and --drain-timeout must be above 0, --shutdown-delay not below")
	}
	if f.readWait >= f.request {
		return usage("--read-wait (%s) must be shorter than --request-timeout (%s)", f.readWait, f.request)
	}
	return nil
}

func (f *serveFlags) listeners(ctx context.Context) (api, metrics net.Listener, err error) {
	var config net.ListenConfig
	api, err = config.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen for the API; choose another address with --listen: %w", err)
	}
	if f.metricsListen == "" {
		return api, nil, nil
	}
	metrics, err = config.Listen(ctx, "tcp", f.metricsListen)
	if err != nil {
		_ = api.Close()
		return nil, nil, fmt.Errorf("listen for /metrics; choose another address with --metrics-listen, or none: %w", err)
	}
	return api, metrics, nil
}
