package main

import (
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

func suspendCommand(s *session) *cobra.Command {
	var try bool
	cmd := &cobra.Command{
		Use:   "suspend [NAME]",
		Short: "Keep what is live live, whatever spec.version says",
		Long: "Keep what is live live, whatever spec.version says, until `kubectl nawhas resume`: sets the annotation\n" +
			"releases.nawhas.com/hold to the live version. To hold an earlier one: `kubectl nawhas rollback --hold`.",
		Example:           "  kubectl nawhas suspend nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.change(cmd, args, try, releases.Suspend) },
	}
	tryFlag(cmd, &try)
	return cmd
}

func resumeCommand(s *session) *cobra.Command {
	var try bool
	cmd := &cobra.Command{
		Use:   "resume [NAME]",
		Short: "Let spec.version count again after suspend or --hold",
		Long: "Let spec.version count again: removes the annotation releases.nawhas.com/hold, which suspend and --hold set.\n" +
			"The version in spec.version then goes live as any other; `kubectl nawhas plan` says how.",
		Example:           "  kubectl nawhas resume nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.change(cmd, args, try, releases.Resume) },
	}
	tryFlag(cmd, &try)
	return cmd
}
