package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/verify"
)

// recordTimeout bounds the writing of evidence, which is done even when the
// verification was told to stop.
const recordTimeout = 10 * time.Second

// verifyFlags are the connections and wishes of the command verify.
type verifyFlags struct {
	database, source, live, scratch *connection
	plan, output                    string
	report, preflight, determinism  bool
	// after is where an audit begins, below 0 when everything is verified.
	after int64
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "verify", Short: "Prove that the version's database is what the log says", Args: cobra.MaximumNArgs(2),
		Long: "verify compares the version's database with the log at the database's checkpoint, in one snapshot.\n" +
			"With --live-database-url it first applies the events up to where the live version's database is, and compares both.\n" +
			"It ends with exit code 4 when a check fails.\n\n" +
			"With --after it audits the events after a position only: up to there the database must have been proven. Nothing is recorded then.\n" +
			"With --preflight it only looks for events that this version does not know, as replay does at its start.\n" +
			"With --determinism it replays once more, into the empty database of --scratch-database-url, and clears that afterwards.\n" +
			"With --report it verifies nothing, and prints the evidence that the ledger has of this database, or that a file holds;\n" +
			"of two files it tells the differences.",
		Example: "  nawhas verify\n  nawhas verify -o json > today.json\n  nawhas verify --after 5000\n  nawhas verify --report\n  nawhas verify --report yesterday.json today.json"}
	f := &verifyFlags{database: databaseFlag(cmd), source: sourceFlag(cmd),
		live:    connectionFlag(cmd, "live-database-url", "NAWHAS_LIVE_DATABASE_URL", "the live version's database, to compare with"),
		scratch: connectionFlag(cmd, "scratch-database-url", "NAWHAS_SCRATCH_DATABASE_URL", "an empty database, for --determinism")}
	cmd.Flags().StringVar(&f.plan, "plan", "", "file with compare, expectedDiff and queries of spec.verify, as JSON (default $NAWHAS_VERIFY, which holds the JSON itself)")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "how to print the evidence: table or json")
	cmd.Flags().BoolVar(&f.report, "report", false, "print evidence instead of verifying")
	cmd.Flags().BoolVar(&f.preflight, "preflight", false, "only look whether this version knows every kind of event in the log; needs no database of the version")
	cmd.Flags().BoolVar(&f.determinism, "determinism", false, "replay a second time, into the scratch database, with other chunks and parallelism, and compare the contents")
	cmd.Flags().Int64Var(&f.after, "after", -1, "audit only what the events after this position did")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("after") && (f.after < 0 || f.determinism) {
			return usage("--after must be a position of the log, and goes without --determinism")
		}
		if f.output != "table" && f.output != "json" {
			return usage("--output must be table or json, not %q", f.output)
		}
		switch {
		case f.report:
			return f.printReport(cmd, args)
		case f.preflight:
			return f.printPreflight(cmd)
		case len(args) > 0:
			return usage("files are read with --report only")
		}
		return f.verify(cmd)
	}
	return cmd
}

// verify records and prints what it found, also when that is bad.
func (f *verifyFlags) verify(cmd *cobra.Command) error {
	evidence, err := f.run(cmd.Context())
	var failed *verify.FailedError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	if f.after < 0 {
		if recordErr := record(f.source, evidence); recordErr != nil {
			return errors.Join(err, recordErr)
		}
	}
	if printErr := printEvidence(cmd.OutOrStdout(), f.output, evidence); printErr != nil {
		return errors.Join(err, printErr)
	}
	return err
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

// readPlan reads what the release asks for; nothing is an empty plan.
func (f *verifyFlags) readPlan() (verify.Plan, error) {
	text := []byte(os.Getenv("NAWHAS_VERIFY"))
	if f.plan != "" {
		var err error
		if text, err = os.ReadFile(f.plan); err != nil {
			return verify.Plan{}, usage("--plan: %w", err)
		}
	}
	if len(text) == 0 {
		return verify.Plan{}, nil
	}
	plan, err := verify.ParsePlan(text)
	if err != nil {
		return verify.Plan{}, usage("--plan (or NAWHAS_VERIFY): %w", err)
	}
	return plan, nil
}
