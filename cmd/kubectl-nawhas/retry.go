package main

import (
	"github.com/spf13/cobra"
)

func retryCommand(s *session) *cobra.Command {
	var try bool
	cmd := &cobra.Command{
		Use:   "retry [NAME]",
		Short: "Try again what was sent back, was given up, or failed",
		Long: "Try the wanted version again. One that was sent back or given up is let go on, one whose round failed is built\n" +
			"anew, and refused evidence is made again (raises spec.retry, and takes spec.abort away). A step that failed is\n" +
			"begun at once rather than when its time has come (deletes its failed Job).",
		Example:           "  kubectl nawhas retry nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, release, err := s.find(cmd, args)
			if err != nil {
				return err
			}
			said, err := c.Retry(cmd.Context(), release, try)
			if err != nil {
				return err
			}
			return tell(cmd, release, said, try)
		},
	}
	tryFlag(cmd, &try)
	return cmd
}
