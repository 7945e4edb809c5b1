package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/library"
)

func generateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "generate", Short: "Append invented events to the log, for trying things out", Args: cobra.NoArgs,
		Long: "generate appends a realistic library to the log: reciters and albums, edits, uploads, deletions and the races that\n" +
			"every log has. The same seed gives the same events. It cannot be undone."}
	source := sourceFlag(cmd)
	events := cmd.Flags().Int("events", 0, "how many events to append")
	seed := cmd.Flags().Uint64("seed", 1, "what the events are drawn from")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *events < 1 {
			return usage("--events must be the number of events to append, at least 1")
		}
		log, err := describedLog()
		if err != nil {
			return err
		}
		conn, err := source.connect(cmd.Context(), "generate")
		if err != nil {
			return err
		}
		defer closing(conn)
		if err := log.Check(cmd.Context(), conn); err != nil {
			return err
		}
		saidAt := time.Now()
		err = library.Generate(cmd.Context(), conn, log, *events, *seed, func(written int) {
			if time.Since(saidAt) >= lineEvery {
				saidAt = time.Now()
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "generate: %s / %s events\n", grouped(int64(written)), grouped(int64(*events)))
			}
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "generate: appended %s events (seed %d)\n", grouped(int64(*events)), *seed)
		return err
	}
	return cmd
}
