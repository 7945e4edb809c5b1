package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and the commit it was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "nawhas %s (%s)\n", buildinfo.Version, buildinfo.Commit)
			return err
		},
	}
}
