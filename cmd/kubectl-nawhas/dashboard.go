package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/dashboard"
)

type dashboardOptions struct {
	address   string
	all, open bool
}

func dashboardCommand(s *session) *cobra.Command {
	var o dashboardOptions
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Serve a page that shows the releases as they change",
		Long: "Serve a page that shows the namespace's releases as they change: versions, stages, lag over time and the\n" +
			"way back. It is for reading only, needs no network but the cluster's, and ends with ctrl-C.\n\n" +
			"It asks nobody who they are and shows what your rights let it read; so it answers on this machine only.",
		Example: "  kubectl nawhas dashboard --open\n" +
			"  kubectl nawhas dashboard --all-namespaces --address 127.0.0.1:8080",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return serveDashboard(cmd, s, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.address, "address", "127.0.0.1:0", "where to answer, on this machine; port 0 is any that is free")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "show the releases of all namespaces")
	flags.BoolVar(&o.open, "open", false, "open the page in a browser")
	return cmd
}

func serveDashboard(cmd *cobra.Command, s *session, o dashboardOptions) error {
	ctx := cmd.Context()
	connection, namespace, err := s.connection()
	if err != nil {
		return err
	}
	if o.all {
		namespace = ""
	}
	feed := dashboard.NewFeed(s.contextName(), namespace, s.now)
	watcher, err := dashboard.NewWatcher(connection, namespace, feed)
	if err != nil {
		return err
	}
	listener, err := dashboard.Listen(ctx, o.address)
	if err != nil {
		// Not wrapped: it is not the cluster that does not answer.
		return &usageError{errors.New(err.Error())}
	}
	defer func() { _ = listener.Close() }()
	if err := watcher.Check(ctx); err != nil {
		return err
	}
	page := "http://" + listener.Addr().String() + "/"
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s shows the releases; ctrl-C ends it\n", page); err != nil {
		return err
	}
	if o.open {
		if err := browse(ctx, page); err != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no browser could be started:", err)
		}
	}
	go watcher.Run(ctx)
	return dashboard.Serve(ctx, listener, dashboard.Handler(feed))
}

// contextName is what the user calls the cluster.
func (s *session) contextName() string {
	if s.overrides.CurrentContext != "" {
		return s.overrides.CurrentContext
	}
	config, err := s.loading.Load()
	if err != nil {
		return ""
	}
	return config.CurrentContext
}

// browse opens an address in the user's browser, and does not wait for it.
func browse(ctx context.Context, address string) error {
	command := []string{"xdg-open", address}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open", address}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", address}
	}
	browser := exec.CommandContext(ctx, command[0], command[1:]...)
	if err := browser.Start(); err != nil {
		return err
	}
	go func() { _ = browser.Wait() }()
	return nil
}
