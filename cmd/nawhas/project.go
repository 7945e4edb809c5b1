package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// projectFlags are those that replay and follow share.
type projectFlags struct {
	database, source *connection
	skip             []string
	unknown          string
	chunk            int
	audit            bool
	// rate is the most events a second, as given; only a replay has it.
	rate *int64
}

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "replay", Short: "Build the version's database from the log", Args: cobra.NoArgs,
		Long: "replay applies the whole log to a migrated database, up to where the log is when it begins, and makes the indexes.\n" +
			"One that was interrupted goes on where it stopped; a complete database is left as it is."}
	f := newProjectFlags(cmd)
	f.rate = cmd.Flags().Int64("max-events-per-second", 0, "how fast the log is replayed at most; 0 means as fast as it goes (default $NAWHAS_MAX_EVENTS_PER_SECOND)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.run(cmd, "replay", replay, 0)
	}
	return cmd
}

func followCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "follow", Short: "Keep the version's database current", Args: cobra.NoArgs,
		Long: "follow applies new events as they appear, to a database that a replay has completed. It ends on SIGTERM, or with\n" +
			"--until when exactly the events up to that position are applied; a SIGTERM before that is a failure. Once the ledger\n" +
			"has a verification of the database, it also audits what it applied since, over connections of its own, and reports\n" +
			"that beside the verification."}
	f := newProjectFlags(cmd)
	until := cmd.Flags().Int64("until", 0, "position to stop at; 0 goes on for ever")
	cmd.Flags().BoolVar(&f.audit, "audit", true, "audit what was applied after the verification; never done with --until")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *until < 0 {
			return usage("--until must be a position of the log, not %d", *until)
		}
		f.audit = f.audit && *until == 0
		return f.run(cmd, "follow", projection.Follow, *until)
	}
	return cmd
}

func newProjectFlags(cmd *cobra.Command) *projectFlags {
	f := &projectFlags{database: databaseFlag(cmd), source: sourceFlag(cmd)}
	cmd.Flags().StringSliceVar(&f.skip, "skip", nil, "ids of events to pass over; each is recorded (default $NAWHAS_SKIP_EVENTS)")
	cmd.Flags().StringVar(&f.unknown, "unknown", "", "what to do with events that this version does not know: Refuse or Skip (default $NAWHAS_UNKNOWN_EVENTS, or Refuse)")
	cmd.Flags().IntVar(&f.chunk, "chunk", 0, "most events to apply in one transaction; 0 means a good number")
	return f
}

type engine func(context.Context, projection.Options) (projection.Result, error)

func (f *projectFlags) run(cmd *cobra.Command, name string, engine engine, until int64) error {
	aimAtLittleMemory()
	options, err := f.options(until)
	if err != nil {
		return err
	}
	toLedger, err := newLedgerReporter(cmd.Context(), f.source)
	if err != nil {
		return err
	}
	defer toLedger.close()
	onScreen := newScreen(cmd.ErrOrStderr(), name)
	options.Reporter = reporters{onScreen, toLedger}
	options.Logger = slog.New(slog.NewTextHandler(onScreen, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if f.audit {
		auditor, stop, err := f.auditor(cmd.Context(), options.Logger)
		if err != nil {
			return err
		}
		defer stop()
		options.Reporter = reporters{onScreen, toLedger, auditor}
	}
	result, err := engine(cmd.Context(), options)
	onScreen.finish()
	if err != nil {
		return errors.Join(err, toLedger.diverged(cmd.Context(), err))
	}
	if stopped := cmd.Context().Err(); stopped != nil && result.Position < until {
		return stopped
	}
	return summarise(cmd.OutOrStdout(), name, result)
}

func (f *projectFlags) options(until int64) (projection.Options, error) {
	edition, err := ownEdition()
	if err != nil {
		return projection.Options{}, err
	}
	source, err := f.source.url()
	if err != nil {
		return projection.Options{}, err
	}
	database, err := f.database.url()
	if err != nil {
		return projection.Options{}, err
	}
	skip, err := f.skipped()
	if err != nil {
		return projection.Options{}, err
	}
	skipUnknown, err := f.skipsUnknown()
	if err != nil {
		return projection.Options{}, err
	}
	if f.chunk < 0 {
		return projection.Options{}, usage("--chunk must not be below 0")
	}
	rate, err := f.maxRate()
	if err != nil {
		return projection.Options{}, err
	}
	log, err := describedLog()
	if err != nil {
		return projection.Options{}, err
	}
	return projection.Options{Log: log, Source: source, Database: database, NewModel: edition.Model, Skip: skip, SkipUnknown: skipUnknown,
		Until: until, ChunkEvents: f.chunk, MaxEventsPerSecond: rate}, nil
}

func (f *projectFlags) maxRate() (int64, error) {
	if f.rate == nil {
		return 0, nil
	}
	given := *f.rate
	if value := os.Getenv("NAWHAS_MAX_EVENTS_PER_SECOND"); given == 0 && value != "" {
		parsed, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, usage("NAWHAS_MAX_EVENTS_PER_SECOND must be a whole number, not %q", value)
		}
		given = parsed
	}
	if given < 0 {
		return 0, usage("--max-events-per-second (or NAWHAS_MAX_EVENTS_PER_SECOND) must not be below 0")
	}
	return given, nil
}

func (f *projectFlags) skipsUnknown() (bool, error) {
	const skip, refuse = "Skip", "Refuse"
	switch value := cmp.Or(f.unknown, os.Getenv("NAWHAS_UNKNOWN_EVENTS"), refuse); value {
	case skip:
		return true, nil
	case refuse:
		return false, nil
	default:
		return false, usage("--unknown (or NAWHAS_UNKNOWN_EVENTS) is %s or %s, not %q", refuse, skip, value)
	}
}

func (f *projectFlags) skipped() ([]uuid.UUID, error) {
	listed := f.skip
	if value := os.Getenv("NAWHAS_SKIP_EVENTS"); len(listed) == 0 && value != "" {
		listed = strings.Split(value, ",")
	}
	var ids []uuid.UUID
	for _, text := range listed {
		id, err := uuid.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, usage("--skip (or NAWHAS_SKIP_EVENTS) takes ids of events separated by commas, and %q is none", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func summarise(out io.Writer, name string, r projection.Result) error {
	rate := 0.0
	if r.Elapsed > 0 {
		rate = float64(r.Events) / r.Elapsed.Seconds()
	}
	_, err := fmt.Fprintf(out, "%s: at position %d after %s events in %s (%s events/s)", name, r.Position, grouped(r.Events),
		r.Elapsed.Round(10*time.Millisecond), grouped(int64(rate)))
	if r.Skipped > 0 {
		_, _ = fmt.Fprintf(out, ", %s skipped on request", grouped(r.Skipped))
	}
	_, _ = fmt.Fprintln(out)
	for _, projector := range slices.Sorted(keys(r.Outcomes)) {
		for _, outcome := range slices.Sorted(keys(r.Outcomes[projector])) {
			_, _ = fmt.Fprintf(out, "  %s: %s %s\n", projector, grouped(r.Outcomes[projector][outcome]), outcome)
		}
	}
	return err
}

// reporters tell several who want to know.
type reporters []projection.Reporter

// Report tells all of them, also when one fails.
func (all reporters) Report(ctx context.Context, r projection.Report) error {
	var errs []error
	for _, one := range all {
		errs = append(errs, one.Report(ctx, r))
	}
	return errors.Join(errs...)
}
