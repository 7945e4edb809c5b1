// Command nawhas is the application: it serves the library and builds, follows
// and verifies the database of its version.
//
// Each command is a file of its own and only puts together what the internal
// packages do. It decides nothing about releases; the operator does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := false
	root := command(&began)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !began {
		// Cobra stopped before any command ran: the command line is wrong.
		err = &usageError{err}
	}
	return report(ctx, root.ErrOrStderr(), err)
}

func command(began *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "nawhas",
		Short: "The library of reciters and albums, and the builder of its versioned databases",
		Long: "nawhas serves the library and builds the database of its version from the log.\n\n" +
			"Connections come from --database-url and --source-url, or from NAWHAS_DATABASE_URL and NAWHAS_SOURCE_URL.\n" +
			"NAWHAS_LOG describes a log that `nawhas source init` did not make.\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 an event that this version cannot apply, 4 verification failed.",
		Version:       buildinfo.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			*began = true
		},
	}
	root.AddCommand(migrateCommand(), replayCommand(), followCommand(), verifyCommand(), serveCommand(), sourceCommand(),
		generateCommand(), versionCommand())
	return root
}
