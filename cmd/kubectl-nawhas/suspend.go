package main

import (
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

func suspendCommand(s *session) *cobra.Command {
	var try bool
	cmd := &cobra.Command{
		Use:   "suspend [NAME]",
		Short: "Stop a release where it is",
		Long: "Stop a release where it is, until `kubectl nawhas resume`: sets spec.suspend. No step is begun, nothing is\n" +
			"switched, sent back or removed; what is live or warm is looked after. That is true of `promote`, `rollback` and\n" +
			"`retry`, too: what they set waits for resume. To go back at once and stay there, use\n" +
			"`kubectl nawhas rollback --hold` instead.",
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
		Short: "Let a release go on after suspend or --hold",
		Long: "Let a release go on: ends what suspend began; where nothing is suspended, removes the annotation\n" +
			"releases.nawhas.com/hold, which --hold sets. The version in spec.version then goes live as any other; `kubectl nawhas plan` says how.",
		Example:           "  kubectl nawhas resume nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.change(cmd, args, try, releases.Resume) },
	}
	tryFlag(cmd, &try)
	return cmd
}
