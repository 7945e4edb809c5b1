package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func sourceCommand() *cobra.Command {
	source := &cobra.Command{Use: "source", Short: "Look after the log", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	source.AddCommand(sourceInitCommand())
	return source
}

func sourceInitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "init", Short: "Create the log, or check the one that is there", Args: cobra.NoArgs,
		Long: "init creates the table of events in the source database. A log that is there is checked and never altered:\n" +
			"its columns, keys and sequence, and that the server is a primary."}
	source := sourceFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := describedLog()
		if err != nil {
			return err
		}
		conn, err := source.connect(cmd.Context(), "source init")
		if err != nil {
			return err
		}
		defer closing(conn)
		if err := log.Init(cmd.Context(), conn); err != nil {
			return err
		}
		head, err := log.Head(cmd.Context(), conn)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "the log is ready; its last event is at position %d\n", head)
		return err
	}
	return cmd
}
