package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/releases"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

type statusOptions struct {
	watch, wait bool
	timeout     time.Duration
	output      string
}

func statusCommand(s *session) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show what a release is doing",
		Long: "Show what is live, what is being built and how far it is, and whether you can go back.\n\n" +
			"With -w the screen is kept up to date; where there is no terminal, a line is printed for each change.\n" +
			"With --wait it ends when the wanted version is live (exit code 0), cannot become so without you or is\n" +
			"interrupted (1), or when --timeout is over (3).",
		Example: "  kubectl nawhas status\n" +
			"  kubectl nawhas status nawhas -w\n" +
			"  kubectl nawhas status nawhas --wait --timeout 30m && echo live\n" +
			"  kubectl nawhas status nawhas -o json | jq '.versions[].lag'",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		PreRunE:           func(*cobra.Command, []string) error { return o.check() },
		RunE:              func(cmd *cobra.Command, args []string) error { return status(cmd, args, s, o) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on showing what changes")
	flags.BoolVar(&o.wait, "wait", false, "go on until the wanted version is live or cannot become so")
	flags.DurationVar(&o.timeout, "timeout", 0, "the longest to watch or wait; 0 is for ever")
	flags.StringVarP(&o.output, "output", "o", "", "json prints the same for programs, with -w or --wait a line for each change")
	return cmd
}

func (o statusOptions) check() error {
	switch {
	case o.output != "" && o.output != "json":
		return &usageError{fmt.Errorf("-o %s is not known; it can be json", o.output)}
	case o.timeout < 0:
		return &usageError{errors.New("--timeout is negative; give a duration such as 30m")}
	case o.timeout > 0 && !o.watch && !o.wait:
		return &usageError{errors.New("--timeout goes with --wait or -w")}
	}
	return nil
}

func status(cmd *cobra.Command, args []string, s *session, o statusOptions) error {
	c, release, err := s.find(cmd, args)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if !o.watch && !o.wait {
		summary, err := summarize(cmd.Context(), c, release.Name)
		if err != nil {
			return err
		}
		return printOnce(out, summary, s.now(), o.output)
	}
	ctx := cmd.Context()
	if o.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, o.timeout, errTimedOut)
		defer stop()
	}
	return watch(ctx, c, release.Name, viewOf(out, o.output, s.now), o.wait)
}

// summarize reads a release anew. Whoever may not see Deployments sees the rest.
func summarize(ctx context.Context, c *releases.Cluster, name string) (screen.Summary, error) {
	release, err := c.Find(ctx, name)
	if err != nil {
		return screen.Summary{}, err
	}
	deployments, err := c.Deployments(ctx, name)
	if err != nil && ctx.Err() != nil {
		return screen.Summary{}, err
	}
	return screen.Of(release, deployments), nil
}

func printOnce(out io.Writer, summary screen.Summary, now time.Time, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(summary)
	}
	lines := screen.Tree(summary, now, widthOf(out))
	if colored(out) {
		lines = screen.Paint(lines)
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}
