package main

import (
	"github.com/spf13/cobra"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
)

func rollbackCommand(s *session) *cobra.Command {
	var to string
	var hold, force, try bool
	cmd := &cobra.Command{
		Use:   "rollback [NAME]",
		Short: "Go back to the version that was live before",
		Long: "Go back to the version that was live before: sets spec.version to it. Nothing is lost, because its\n" +
			"database was kept current. It refuses where that is not so; `kubectl nawhas status` says why.\n\n" +
			"What Argo CD or Flux keeps as a repository has it is not changed, because they would change it back;\n" +
			"--hold sets an annotation instead, which is stronger than spec.version.",
		Example: "  kubectl nawhas rollback nawhas\n" +
			"  kubectl nawhas rollback nawhas --to 3.0.9\n" +
			"  kubectl nawhas rollback nawhas --hold",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, args, try, func(r *v1alpha1.NawhasRelease) (releases.Change, error) {
				return releases.Rollback(r, to, hold, force)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", "the version to go back to; the one that was live last when left out")
	flags.BoolVar(&force, "force", false, "go back even if the operator says that it will take long or wait")
	holdFlag(cmd, &hold)
	tryFlag(cmd, &try)
	return cmd
}
