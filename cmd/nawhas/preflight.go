package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// replay looks through the log for events that this edition does not know
// before it begins, or goes on with, what may take hours. It does not when such
// events are passed over.
func replay(ctx context.Context, options projection.Options) (projection.Result, error) {
	if !options.SkipUnknown {
		if err := preflight(ctx, options); err != nil {
			return projection.Result{}, err
		}
	}
	return projection.Replay(ctx, options)
}

func preflight(ctx context.Context, options projection.Options) error {
	database, err := dial(ctx, options.Database, "version's database")
	if err != nil {
		return err
	}
	defer closing(database)
	checkpoint, err := projection.ReadCheckpoint(ctx, database)
	if err != nil || checkpoint.Stage == projection.StageIndexing || checkpoint.Stage == projection.StageComplete {
		return err
	}
	source, err := dial(ctx, options.Source, "log")
	if err != nil {
		return err
	}
	defer closing(source)
	_, err = verify.Preflight(ctx, source, options.Log, options.NewModel(), options.Skip)
	var poison *projection.Poison
	if errors.As(err, &poison) {
		told := projection.Report{Stage: string(checkpoint.Stage), Position: checkpoint.Position, Problem: poison}
		return errors.Join(err, options.Reporter.Report(ctx, told))
	}
	return err
}

func dial(ctx context.Context, url, what string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect to the %s: %w", what, err)
	}
	return conn, nil
}

// printPreflight tells what this version makes of each kind of event.
func (f *verifyFlags) printPreflight(cmd *cobra.Command) error {
	options, err := (&projectFlags{database: f.source, source: f.source}).options(0)
	if err != nil {
		return err
	}
	source, err := f.source.connect(cmd.Context(), "verify")
	if err != nil {
		return err
	}
	defer closing(source)
	kinds, err := verify.Preflight(cmd.Context(), source, options.Log, options.NewModel(), options.Skip)
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, k := range kinds {
		use := strings.Join(k.Projectors, ", ")
		switch {
		case k.Unknown():
			use = "UNKNOWN"
		case k.Ignored:
			use = "ignored"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s events\tfirst at position %s\t%s\n", k.Kind, grouped(k.Events), grouped(k.First), use)
	}
	return errors.Join(err, table.Flush())
}
