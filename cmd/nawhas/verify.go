package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// recordTimeout bounds the writing of evidence, which is done even when the
// verification was told to stop.
const recordTimeout = 10 * time.Second

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "verify", Short: "Prove that the version's database is what the log says", Args: cobra.NoArgs,
		Long: "verify compares the version's database with the log at the database's checkpoint, in one snapshot, and changes neither.\n" +
			"It ends with exit code 4 when a check fails."}
	database, source := databaseFlag(cmd), sourceFlag(cmd)
	format := cmd.Flags().String("report", "table", "how to print the evidence: table or json (without a value: json)")
	cmd.Flags().Lookup("report").NoOptDefVal = "json"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *format != "table" && *format != "json" {
			return usage("--report must be table or json, not %q", *format)
		}
		evidence, err := verifyDatabase(cmd.Context(), database, source)
		var failed *verify.FailedError
		if err != nil && !errors.As(err, &failed) {
			return err
		}
		if recordErr := record(source, evidence); recordErr != nil {
			return errors.Join(err, recordErr)
		}
		if printErr := printEvidence(cmd.OutOrStdout(), *format, evidence); printErr != nil {
			return errors.Join(err, printErr)
		}
		return err
	}
	return cmd
}

func verifyDatabase(ctx context.Context, database, source *connection) (verify.Evidence, error) {
	edition, err := ownEdition()
	if err != nil {
		return verify.Evidence{}, err
	}
	verified, err := database.connect(ctx, "verify")
	if err != nil {
		return verify.Evidence{}, err
	}
	defer closing(verified)
	log, err := source.connect(ctx, "verify")
	if err != nil {
		return verify.Evidence{}, err
	}
	defer closing(log)
	return verify.Run(ctx, verify.Options{Version: buildinfo.Version, Edition: edition, Database: verified, Source: log,
		Log: eventlog.New(eventlog.DefaultTable()), Job: os.Getenv("NAWHAS_JOB_UID"), Build: os.Getenv("NAWHAS_BUILD")})
}

func record(source *connection, evidence verify.Evidence) error {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	reporter, err := newLedgerReporter(ctx, source)
	if err != nil {
		return err
	}
	defer reporter.close()
	return reporter.Record(ctx, evidence)
}

func printEvidence(out io.Writer, format string, evidence verify.Evidence) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(evidence)
	}
	_, _ = fmt.Fprintf(out, "%s at position %s: %s events\n", evidence.Database, grouped(evidence.Position), grouped(evidence.Events))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, check := range evidence.Checks {
		mark := "ok"
		if !check.Passed {
			mark = "FAILED"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s %s\t%.2f s\t%s\n", mark, check.Name, grouped(check.Figure), check.Unit, check.Seconds, check.Detail)
		for _, sample := range check.Samples {
			_, _ = fmt.Fprintf(table, "\t\t\t\t- %s\n", sample)
		}
	}
	return table.Flush()
}
