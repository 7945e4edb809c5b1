package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

// auditor begins to audit what a follower will report, until it is stopped.
func (f *projectFlags) auditor(ctx context.Context, logger *slog.Logger) (auditor *verify.Auditor, stop func(), err error) {
	edition, err := ownEdition()
	if err != nil {
		return nil, nil, err
	}
	log, err := describedLog()
	if err != nil {
		return nil, nil, err
	}
	proofs, err := newLedgerReporter(ctx, f.source)
	if err != nil {
		return nil, nil, err
	}
	connecting := func(c *connection) func(context.Context) (*pgx.Conn, error) {
		return func(ctx context.Context) (*pgx.Conn, error) { return c.connect(ctx, "audit") }
	}
	auditor = verify.NewAuditor(verify.AuditorOptions{Version: buildinfo.Version, Build: os.Getenv("NAWHAS_BUILD"), Edition: edition,
		Log: log, Source: connecting(f.source), Database: connecting(f.database), Proofs: proofs, Logger: logger})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		auditor.Run(ctx)
	}()
	return auditor, func() {
		cancel()
		<-ended
		proofs.close()
	}, nil
}
