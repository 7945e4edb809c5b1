package main

import (
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

func promoteCommand(s *session) *cobra.Command {
	var try bool
	cmd := &cobra.Command{
		Use:               "promote [NAME]",
		Short:             "Let the version that waits for approval go live",
		Long:              "Let the wanted version go live where promotion.mode is Manual: sets spec.promotion.approved to it.",
		Example:           "  kubectl nawhas promote nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.change(cmd, args, try, releases.Promotion) },
	}
	tryFlag(cmd, &try)
	return cmd
}
