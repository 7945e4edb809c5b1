package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// ledgerReporter tells the ledger, over a connection of its own, what the
// engines and the verification find.
type ledgerReporter struct {
	pool   *pgxpool.Pool
	ledger *ledger.Reporter
	// evidence is what Proven went by last.
	evidence json.RawMessage
}

func newLedgerReporter(ctx context.Context, source *connection) (*ledgerReporter, error) {
	pool, err := source.pool(ctx, "report", 1)
	if err != nil {
		return nil, err
	}
	return &ledgerReporter{pool: pool, ledger: ledger.NewReporter(pool)}, nil
}

func (l *ledgerReporter) close() { l.pool.Close() }

// Report implements projection.Reporter. A run that never saw its checkpoint has
// nothing to tell: what the one before it told stays.
func (l *ledgerReporter) Report(ctx context.Context, r projection.Report) error {
	if r.Stage == "" {
		return nil
	}
	progress := ledger.Progress{Stage: r.Stage, Position: r.Position, Target: r.Target, Rate: r.EventsPerSecond}
	if p := r.Problem; p != nil {
		progress.Problem = &ledger.Problem{Position: p.Position, EventID: p.EventID, Name: p.Name, Version: p.Version,
			Projector: p.Projector, Message: p.Reason}
		if p.Unknown {
			progress.Problem.Kind = ledger.KindUnknown
		}
	}
	return l.ledger.Report(ctx, progress)
}

// diverged tells of a log that is not the one the database was built from, when
// that is what an engine ended with.
func (l *ledgerReporter) diverged(ctx context.Context, err error) error {
	found, ok := errors.AsType[*eventlog.DivergedError](err)
	if !ok {
		return nil
	}
	return l.ledger.Problem(ctx, ledger.Problem{Kind: ledger.KindDiverged, Position: found.Position, Message: found.Reason})
}

// Record implements verify.Recorder.
func (l *ledgerReporter) Record(ctx context.Context, evidence verify.Evidence) error {
	encoded, err := json.Marshal(evidence)
	if err != nil {
		return fmt.Errorf("encode the evidence: %w", err)
	}
	return l.ledger.Evidence(ctx, encoded)
}

// Proven implements verify.Proofs: it goes by the evidence of this build. An
// audit that failed began where the database was still right.
func (l *ledgerReporter) Proven(ctx context.Context) (position int64, known bool, err error) {
	var audit json.RawMessage
	if l.evidence, audit, err = l.ledger.Proofs(ctx); err != nil {
		return 0, false, err
	}
	for _, encoded := range []json.RawMessage{l.evidence, audit} {
		var found verify.Evidence
		switch {
		case json.Unmarshal(encoded, &found) != nil || found.Build != os.Getenv("NAWHAS_BUILD"):
		case found.Passed:
			position, known = max(position, found.Position), true
		case found.After > 0:
			position, known = max(position, found.After), true
		}
	}
	return position, known, nil
}

// RecordAudit implements verify.Proofs.
func (l *ledgerReporter) RecordAudit(ctx context.Context, evidence verify.Evidence) error {
	encoded, err := json.Marshal(evidence)
	if err != nil {
		return fmt.Errorf("encode the audit: %w", err)
	}
	return l.ledger.Audit(ctx, encoded, l.evidence)
}
