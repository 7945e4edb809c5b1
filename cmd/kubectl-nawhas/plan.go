package main

import (
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

func planCommand(s *session) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "plan [NAME] --version VERSION",
		Short: "Say what releasing a version would do",
		Long: "Let the API server check a version and say what releasing it would do, step by step. Nothing is changed.\n" +
			"Without --version it is about the one in spec.version.",
		Example:           "  kubectl nawhas plan nawhas --version 3.2.0",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, release, err := s.find(cmd, args)
			if err != nil {
				return err
			}
			if version != "" && version != release.Spec.Version {
				wish := releases.Wish(version)
				if err := c.Apply(cmd.Context(), release, wish, true); err != nil {
					return err
				}
			}
			return printLines(cmd.OutOrStdout(), releases.Plan(release, version))
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "the version that would be released")
	return cmd
}
