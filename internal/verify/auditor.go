package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// auditAgain is when an audit that found something wrong, or could not be made,
// is made again.
const auditAgain = 30 * time.Second

// Proofs is where an auditor finds up to where a database is proven, and leaves
// what it found.
type Proofs interface {
	// Proven is the position up to which a verification, and the audits since,
	// have proven the database. There may be none.
	Proven(ctx context.Context) (position int64, known bool, err error)
	// RecordAudit keeps evidence that goes by what Proven said last.
	RecordAudit(ctx context.Context, evidence Evidence) error
}

// AuditorOptions are what an auditor needs; all are required but Build.
type AuditorOptions struct {
	Version, Build string
	Edition        library.Edition
	Log            *eventlog.Log
	// Source and Database open the connections, which are kept while they work.
	Source, Database func(context.Context) (*pgx.Conn, error)
	Proofs           Proofs
	Logger           *slog.Logger
}

// Auditor audits what a follower applies, beside it. It shares nothing with the
// engine but the reports, by which it learns that there is something new. One
// that has no verification to go by does nothing.
type Auditor struct {
	AuditorOptions
	// secured is the last position that was reported: no crash takes it back.
	secured atomic.Int64
	news    chan struct{}
}

// NewAuditor makes an auditor that waits for reports.
func NewAuditor(options AuditorOptions) *Auditor {
	return &Auditor{AuditorOptions: options, news: make(chan struct{}, 1)}
}

// Report implements projection.Reporter. It only makes a note.
func (a *Auditor) Report(_ context.Context, r projection.Report) error {
	if r.Stage != string(projection.StageComplete) {
		return nil
	}
	a.secured.Store(r.Position)
	select {
	case a.news <- struct{}{}:
	default:
	}
	return nil
}

// Run audits until the context ends.
func (a *Auditor) Run(ctx context.Context) {
	var c auditConns
	defer func() { c.close() }()
	var after time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.news:
		}
		if time.Now().Before(after) {
			continue
		}
		after = time.Time{}
		if err := a.step(ctx, &c); err != nil && ctx.Err() == nil {
			a.Logger.Warn("the audit of what was applied", "error", err, "again in", auditAgain)
			after = time.Now().Add(auditAgain)
			c.close()
		}
	}
}

// step audits what came since the last audit, if there is anything. Whatever
// happens in it, the follower goes on.
func (a *Auditor) step(ctx context.Context, c *auditConns) (err error) {
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("the audit broke down: %v", failed)
		}
	}()
	secured := a.secured.Load()
	proven, known, err := a.Proofs.Proven(ctx)
	if err != nil || !known || secured <= proven {
		return err
	}
	if err := c.open(ctx, a); err != nil {
		return err
	}
	evidence, err := Audit(ctx, Options{Version: a.Version, Edition: a.Edition, Database: c.database, Source: c.source, Log: a.Log, Build: a.Build}, proven)
	var failed *FailedError
	if err != nil && !errors.As(err, &failed) {
		return err
	}
	if evidence.Passed {
		// What was seen beyond the last report might still get lost in a crash, and
		// would then be applied anew.
		evidence.Position = min(evidence.Position, secured)
	}
	return errors.Join(err, a.Proofs.RecordAudit(ctx, evidence))
}

// auditConns are an auditor's connections.
type auditConns struct{ source, database *pgx.Conn }

func (c *auditConns) open(ctx context.Context, a *Auditor) (err error) {
	if c.source == nil {
		if c.source, err = a.Source(ctx); err != nil {
			return fmt.Errorf("open a connection for the audit: %w", err)
		}
	}
	if c.database == nil {
		if c.database, err = a.Database(ctx); err != nil {
			return fmt.Errorf("open a connection for the audit: %w", err)
		}
	}
	return nil
}

func (c *auditConns) close() {
	for _, conn := range []*pgx.Conn{c.source, c.database} {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}
	*c = auditConns{}
}
