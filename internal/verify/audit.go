package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names of the checks that an audit adds to those of a whole verification.
const (
	auditedPrefix = "audit:"
	auditedEvents = auditedPrefix + "events"
	auditedWhole  = auditedPrefix + "whole"
)

// mostSuspects is how many times the tail is asked for.
const mostSuspects = 1000

// audit is the verification of a tail at work.
type audit struct {
	*inspection
	// after is the position up to which the database is proven, since the
	// earliest time of the events behind it.
	after  int64
	since  string
	owners owners
	// doubts counts the entities that the tail alone does not tell about,
	// suspects are the times that decide whether there are more.
	doubts   int
	doubted  samples
	suspects []suspect
}

// suspect is a revision that the tail was taken to build on, and may be of the
// tail itself.
type suspect struct{ entity, at string }

func (a *audit) doubt(entity, why string) {
	a.doubts++
	a.doubted.note(entity + " " + why)
}

// Audit proves of a database that is proven up to a position what came after
// it, in time that grows with these events and not with the log. It uses the
// connections and returns as Run does; the evidence's After is the position.
//
// Each projector must have handled exactly the events it should, and for every
// reciter and album that these events name, a plain fold over the events must
// give the revisions that were added, and the last of these the row. An entity
// whose share the tail alone does not tell, because an id was given twice or
// times are equal, has everything verified.
func Audit(ctx context.Context, options Options, after int64) (evidence Evidence, err error) {
	err = pgx.BeginTxFunc(ctx, options.Database, snapshot, func(database pgx.Tx) error {
		return pgx.BeginTxFunc(ctx, options.Source, snapshot, func(source pgx.Tx) error {
			evidence, err = auditIn(ctx, options, after, database, source)
			return err
		})
	})
	return evidence, err
}

func auditIn(ctx context.Context, options Options, after int64, database, source pgx.Tx) (Evidence, error) {
	evidence := newEvidence(options)
	evidence.After = after
	in := &inspection{Options: options, model: options.Edition.Model(), evidence: &evidence, database: database, source: source}
	a := &audit{inspection: in, after: after, owners: owners{tail: map[string]life{}, standing: map[string]bool{}, unsure: map[string]bool{}}}
	return a.finish(a.run(ctx))
}

func (a *audit) run(ctx context.Context) error {
	if err := a.pin(ctx, prepareForFew); err != nil {
		return err
	}
	if a.checkpoint.Position < a.after {
		return fmt.Errorf("the database is at position %d, before %d", a.checkpoint.Position, a.after)
	}
	if err := a.summariseTail(ctx); err != nil {
		return err
	}
	for _, c := range []check{
		{name: "checkpoint", run: checkCheckpoint},
		{name: "schema", run: checkSchema},
		{name: "indexes", run: checkIndexes},
		{name: auditedEvents, run: func(ctx context.Context, _ *inspection) (Check, error) { return a.checkEvents(ctx) }},
		{name: auditedPrefix + auditedReciters.name, run: func(ctx context.Context, _ *inspection) (Check, error) { return a.checkEntities(ctx, &auditedReciters) }},
		{name: auditedPrefix + auditedAlbums.name, run: func(ctx context.Context, _ *inspection) (Check, error) { return a.checkEntities(ctx, &auditedAlbums) }},
	} {
		result, err := a.one(ctx, c)
		if err != nil {
			return fmt.Errorf("check %s: %w", c.name, err)
		}
		a.add(result)
	}
	return a.settleDoubts(ctx)
}

// prepareForFew suits a session to many short look-ups.
func prepareForFew(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off; SET LOCAL work_mem = '16MB'", pgx.QueryExecModeSimpleProtocol)
	return err
}

// settleDoubts verifies everything when the tail alone does not tell. What was
// found wrong needs no other opinion.
func (a *audit) settleDoubts(ctx context.Context) error {
	if !a.evidence.sound() {
		return nil
	}
	if err := a.resolveSuspects(ctx); err != nil {
		return fmt.Errorf("look for events of equal times: %w", err)
	}
	if a.doubts == 0 {
		return nil
	}
	started := time.Now()
	whole, err := inspect(ctx, a.Options, a.database, a.source, 0)
	var failed *FailedError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	verdict := pass(int64(a.doubts), "entities")
	verdict.Detail, verdict.Samples = "the events alone do not tell about these, so that everything was verified", a.doubted.noted
	if failed != nil {
		for _, check := range whole.Checks {
			if !check.Passed {
				a.add(check)
			}
		}
	}
	verdict.Name, verdict.Seconds = auditedWhole, time.Since(started).Seconds()
	a.add(verdict)
	return nil
}

// resolveSuspects asks the tail for events of the times of the revisions that
// it was taken to build on: where there are some, these are no safe ground.
func (a *audit) resolveSuspects(ctx context.Context) error {
	if len(a.suspects) == 0 {
		return nil
	}
	times := map[string]bool{}
	for _, s := range a.suspects {
		times[s.at] = len(a.suspects) > mostSuspects
	}
	if len(a.suspects) <= mostSuspects {
		rows, err := a.source.Query(ctx, "SELECT "+moment("recorded_at")+" FROM "+a.events()+" e WHERE position > $1 AND position <= $2 AND "+moment("recorded_at")+" = ANY ($3)",
			a.after, a.checkpoint.Position, slices.Collect(maps.Keys(times)))
		if err != nil {
			return err
		}
		var at string
		if _, err := pgx.ForEachRow(rows, []any{&at}, func() error {
			times[at] = true
			return nil
		}); err != nil {
			return err
		}
	}
	for _, s := range a.suspects {
		if times[s.at] {
			a.doubt(s.entity, "may have been changed twice by one event")
		}
	}
	return nil
}
