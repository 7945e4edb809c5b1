package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// ledgerReporter tells the ledger, over a connection of its own, what the
// engines and the verification find.
type ledgerReporter struct {
	pool   *pgxpool.Pool
	ledger *ledger.Reporter
}

func newLedgerReporter(ctx context.Context, source *connection) (*ledgerReporter, error) {
	pool, err := source.pool(ctx, "report", 1)
	if err != nil {
		return nil, err
	}
	return &ledgerReporter{pool: pool, ledger: ledger.NewReporter(pool)}, nil
}

func (l *ledgerReporter) close() { l.pool.Close() }

// Report implements projection.Reporter.
func (l *ledgerReporter) Report(ctx context.Context, r projection.Report) error {
	progress := ledger.Progress{Stage: r.Stage, Position: r.Position, Target: r.Target, Rate: r.EventsPerSecond}
	if p := r.Problem; p != nil {
		progress.Problem = &ledger.Problem{Position: p.Position, EventID: p.EventID, Name: p.Name, Version: p.Version,
			Projector: p.Projector, Message: p.Error()}
	}
	return l.ledger.Report(ctx, progress)
}

// Record implements verify.Recorder.
func (l *ledgerReporter) Record(ctx context.Context, evidence verify.Evidence) error {
	encoded, err := json.Marshal(evidence)
	if err != nil {
		return fmt.Errorf("encode the evidence: %w", err)
	}
	return l.ledger.Evidence(ctx, encoded)
}
