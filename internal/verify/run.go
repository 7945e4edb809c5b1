package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Options are what a verification needs. It uses both connections by itself and
// leaves no transaction open.
type Options struct {
	Version string
	Edition library.Edition
	// Database is the version's database, Source that of the log.
	Database, Source *pgx.Conn
	Log              *eventlog.Log
	// Plan is what the release asks for beyond the checks of the edition.
	Plan Plan
	// Live is what to compare with, nil if there is nothing; NotCompared says why
	// there is nothing although there should be.
	Live        *Live
	NotCompared error
	// Rebuild is what a second replay came to, nil if there was none.
	Rebuild *Rebuild
	// Job, Build and Audited are copied into the evidence.
	Job, Build string
	Audited    bool
}

// inspection is one verification at work.
type inspection struct {
	Options
	model      *projection.Model
	database   pgx.Tx
	source     pgx.Tx
	checkpoint projection.Checkpoint
	evidence   *Evidence
	log        logSummary
	digest     digest
	// handledBy is what each projector has handled, nil if that could not be summed up.
	handledBy map[string]*tally
	settled   settled
	// exported and exportedLog are the names of both snapshots, for other sessions.
	exported, exportedLog string
}

// check is a proof by its name.
type check struct {
	name string
	run  func(context.Context, *inspection) (Check, error)
	// long ones are begun first.
	long bool
}

func checks(e library.Edition) []check {
	all := []check{
		{name: "checkpoint", run: checkCheckpoint},
		{name: "schema", run: checkSchema},
		{name: "indexes", run: checkIndexes},
		{name: "statistics", run: checkStatistics},
		{name: "events-known", run: checkEventsKnown},
		{name: "completeness", run: checkCompleteness},
	}
	for _, c := range contents {
		all = append(all, check{name: c.name, run: c.check, long: true})
	}
	for _, i := range invariants {
		if i.shelves && !e.Shelves {
			continue
		}
		all = append(all, check{name: i.name, run: i.check})
	}
	return all
}

// snapshot shows one state of a database for as long as it lasts.
var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// Run makes all checks, also after one has failed. The error is a *FailedError
// when any did; with any other error the verification did not come to an end
// and proves nothing.
func Run(ctx context.Context, options Options) (evidence Evidence, err error) {
	err = pgx.BeginTxFunc(ctx, options.Database, snapshot, func(database pgx.Tx) error {
		return pgx.BeginTxFunc(ctx, options.Source, snapshot, func(source pgx.Tx) error {
			evidence, err = inspect(ctx, options, database, source, moreSessions)
			return err
		})
	})
	return evidence, err
}

// inspect makes all checks in two transactions that show one snapshot each, and
// in that many more pairs of sessions which join them.
func inspect(ctx context.Context, options Options, database, source pgx.Tx, more int) (Evidence, error) {
	evidence := newEvidence(options)
	in := &inspection{Options: options, model: options.Edition.Model(), evidence: &evidence, database: database, source: source}
	err := in.pin(ctx, prepare)
	if err == nil {
		err = in.all(ctx, more)
	}
	return in.finish(err)
}

func newEvidence(options Options) Evidence {
	return Evidence{Version: options.Version, Edition: options.Edition.Version, Job: options.Job, Build: options.Build, Audited: options.Audited,
		StartedAt: time.Now().UTC().Truncate(time.Millisecond), Database: options.Database.Config().Database}
}

// finish sums up what was found, unless the verification did not come to an end.
func (in *inspection) finish(err error) (Evidence, error) {
	evidence := in.evidence
	evidence.Seconds = time.Since(evidence.StartedAt).Seconds()
	if err != nil {
		return *evidence, fmt.Errorf("verify %s: %w", evidence.Database, err)
	}
	if evidence.Passed = evidence.sound(); !evidence.Passed {
		return *evidence, &FailedError{*evidence}
	}
	return *evidence, nil
}

// pin takes the snapshots, in sessions that are prepared for the work. The
// database's comes first: what its checkpoint counts is then visible in the log's.
func (in *inspection) pin(ctx context.Context, prepare func(context.Context, pgx.Tx) error) (err error) {
	if err := prepare(ctx, in.database); err != nil {
		return err
	}
	if in.checkpoint, err = projection.ReadCheckpoint(ctx, in.database); err != nil {
		return err
	}
	in.evidence.Position = in.checkpoint.Position
	if err := prepare(ctx, in.source); err != nil {
		return err
	}
	return in.Log.Check(ctx, in.source)
}

// export makes the snapshots known to other sessions.
func (in *inspection) export(ctx context.Context) error {
	for tx, name := range map[pgx.Tx]*string{in.database: &in.exported, in.source: &in.exportedLog} {
		if err := tx.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(name); err != nil {
			return fmt.Errorf("export the snapshot: %w", err)
		}
	}
	return nil
}

// prepare suits a session to a few long statements. One connection sits in its
// transaction while the other one works, which roles have a limit against.
// Compiling a statement costs more than it saves here, and sorts get memory.
// Tables may have no statistics yet: the planner then takes them for small and
// nests loops over the whole log.
func prepare(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off",
		pgx.QueryExecModeSimpleProtocol)
	return err
}

func (in *inspection) all(ctx context.Context, more int) error {
	if err := in.export(ctx); err != nil {
		return err
	}
	if err := in.readSkipped(ctx); err != nil {
		return err
	}
	others, release, err := in.others(ctx, more)
	defer release()
	if err != nil {
		return err
	}
	if err := in.settle(ctx, others); err != nil {
		return err
	}
	for _, other := range others {
		other.log, other.handledBy, other.settled = in.log, in.handledBy, in.settled
	}
	if err := in.makeChecks(ctx, others); err != nil {
		return err
	}
	if in.Rebuild != nil {
		in.add(named("determinism", in.Rebuild.check()))
	}
	if err := in.compareAll(ctx); err != nil {
		return err
	}
	return in.askAll(ctx)
}

func (in *inspection) add(c Check) { in.evidence.Checks = append(in.evidence.Checks, c) }

func named(name string, c Check) Check {
	c.Name = name
	return c
}

// one runs a check behind a savepoint of each transaction. A statement that the
// server refuses, because a table or a column is not there, is a failed check;
// the others still run.
func (in *inspection) one(ctx context.Context, c check) (Check, error) {
	started := time.Now()
	database, source := in.database, in.source
	defer func() { in.database, in.source = database, source }()
	result, err := Check{}, error(nil)
	err = pgx.BeginFunc(ctx, database, func(inner pgx.Tx) error {
		in.database = inner
		return pgx.BeginFunc(ctx, source, func(inner pgx.Tx) error {
			in.source = inner
			result, err = c.run(ctx, in)
			return err
		})
	})
	if refused := refusal(err); refused != "" {
		result, err = fail(0, "", 1, nil, "it could not be made: %s", refused), nil
	}
	result.Name, result.Seconds = c.name, time.Since(started).Seconds()
	return result, err
}

// refusal is what the server says of a statement that it cannot carry out
// because of what is in the database, or empty for any other error. Messages
// about data are left out: they repeat it.
func refusal(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return ""
	}
	switch refused.Code[:2] {
	case "42":
		return fmt.Sprintf("%s (%s)", refused.Message, refused.Code)
	case "21", "22":
		return fmt.Sprintf("a value is not what it should be (%s)", refused.Code)
	}
	return ""
}
