package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// comparePatience bounds the wait for the live version's follower, and for a
// process that works on this version's database.
const comparePatience = 5 * time.Minute

// run verifies, after it has brought the database to where the live version's
// is, if there is one to compare with.
func (f *verifyFlags) run(ctx context.Context) (verify.Evidence, error) {
	options, err := f.options()
	if err != nil {
		return verify.Evidence{}, err
	}
	if options.Database, err = f.database.connect(ctx, "verify"); err != nil {
		return verify.Evidence{}, err
	}
	defer closing(options.Database)
	if options.Source, err = f.source.connect(ctx, "verify"); err != nil {
		return verify.Evidence{}, err
	}
	defer closing(options.Source)
	if f.after >= 0 {
		return verify.Audit(ctx, options, f.after)
	}
	if f.determinism {
		if options.Rebuild, err = f.rebuild(ctx, options); err != nil {
			return verify.Evidence{}, err
		}
	}
	if !f.live.given() || options.Plan.Compare == verify.Off {
		return verify.Run(ctx, options)
	}
	live, err := f.live.connect(ctx, "verify")
	if err != nil {
		return f.withoutLive(ctx, options, err)
	}
	defer closing(live)
	if options.Live, err = f.meetLive(ctx, options.Database, live); err != nil {
		return f.withoutLive(ctx, options, err)
	}
	defer options.Live.Release(ctx)
	return verify.Run(ctx, options)
}

func (f *verifyFlags) options() (verify.Options, error) {
	edition, err := ownEdition()
	if err != nil {
		return verify.Options{}, err
	}
	plan, err := f.readPlan()
	if err != nil {
		return verify.Options{}, err
	}
	log, err := describedLog()
	if err != nil {
		return verify.Options{}, err
	}
	return verify.Options{Version: buildinfo.Version, Edition: edition, Plan: plan, Log: log,
		Job: os.Getenv("NAWHAS_JOB_UID"), Build: os.Getenv("NAWHAS_BUILD"), Audited: true}, nil
}

// withoutLive verifies the database alone when a comparison that is not
// required could not be prepared. An event that cannot be applied is a fault of
// this version, whatever is compared.
func (f *verifyFlags) withoutLive(ctx context.Context, options verify.Options, cause error) (verify.Evidence, error) {
	var poison *projection.Poison
	if options.Plan.Compare == verify.Require || errors.As(cause, &poison) || ctx.Err() != nil {
		return verify.Evidence{}, cause
	}
	options.NotCompared = cause
	return verify.Run(ctx, options)
}

// meetLive holds a snapshot of the live version's database, and applies to this
// one exactly the events that are missing up to there.
func (f *verifyFlags) meetLive(ctx context.Context, database, live *pgx.Conn) (*verify.Live, error) {
	checkpoint, err := projection.ReadCheckpoint(ctx, database)
	if err != nil {
		return nil, err
	}
	held, err := verify.HoldLive(ctx, live, os.Getenv("NAWHAS_LIVE_VERSION"), checkpoint.Position, comparePatience)
	if err != nil {
		return nil, err
	}
	if held.Position == checkpoint.Position || checkpoint.Stage != projection.StageComplete {
		return held, nil
	}
	if err := advance(ctx, f.database, f.source, held.Position); err != nil {
		held.Release(ctx)
		return nil, err
	}
	return held, nil
}

// advance applies exactly the events up to a position.
func advance(ctx context.Context, database, source *connection, position int64) error {
	options, err := (&projectFlags{database: database, source: source}).options(position)
	if err != nil {
		return err
	}
	reporter, err := newLedgerReporter(ctx, source)
	if err != nil {
		return err
	}
	defer reporter.close()
	options.Reporter = reporter
	bounded, cancel := context.WithTimeout(ctx, comparePatience)
	defer cancel()
	result, err := projection.Follow(bounded, options)
	if err == nil && result.Position != position {
		err = fmt.Errorf("it stopped at position %d; end the process that follows the log into this database meanwhile", result.Position)
	}
	if err != nil {
		return fmt.Errorf("bring the database to position %d: %w", position, err)
	}
	return nil
}
