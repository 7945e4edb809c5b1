package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

func historyCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "history [NAME]",
		Short: "List the versions that have a database",
		Long: "List the versions that have a database: what they are for, how long each took to build, and until when\n" +
			"it can come back. `kubectl nawhas status -o json` has the evidence of each stage.",
		Example:           "  kubectl nawhas history nawhas",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, release, err := s.find(cmd, args)
			if err != nil {
				return err
			}
			width := 0
			if _, seen := terminal(cmd.OutOrStdout()); seen {
				width = widthOf(cmd.OutOrStdout())
			}
			lines := screen.History(screen.Of(release, nil), s.now(), width)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(lines, "\n"))
			return err
		},
	}
}
