package main

import (
	"github.com/spf13/cobra"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
)

func abortCommand(s *session) *cobra.Command {
	var hold, try bool
	cmd := &cobra.Command{
		Use:   "abort [NAME]",
		Short: "Give up the version that is on its way",
		Long: "Give up the version that is on its way: sets spec.abort to it. Its Jobs are stopped and its pods ended, and\n" +
			"what is live stays so, until another version is released or `kubectl nawhas retry` tries it again.\n\n" +
			"--hold sets an annotation instead, which keeps the live version whatever spec.version says next.",
		Example: "  kubectl nawhas abort nawhas\n" +
			"  kubectl nawhas abort nawhas --hold",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, args, try, func(r *v1alpha1.NawhasRelease) (releases.Change, error) { return releases.Abort(r, hold) })
		},
	}
	holdFlag(cmd, &hold)
	tryFlag(cmd, &try)
	return cmd
}

func holdFlag(cmd *cobra.Command, hold *bool) {
	cmd.Flags().BoolVar(hold, "hold", false, "keep the version live by an annotation, whatever spec.version says")
}
