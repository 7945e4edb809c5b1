package projection

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	reportEvery = 500 * time.Millisecond
	// reportAtMostEvery bounds how often news that somebody may wait for is told.
	reportAtMostEvery = 100 * time.Millisecond
	// reportAtLeastEvery shows that a run without news is alive.
	reportAtLeastEvery = 5 * time.Second
	reportTimeout      = 5 * time.Second
)

// progress tells the reporter how far a run is, beside the run, so that a
// slow reporter does not slow it down.
type progress struct {
	reporter Reporter
	logger   *slog.Logger

	mu      sync.Mutex
	current Report
	changed bool
	// What was committed, which may be more than was told.
	committed, applied, skipped int64

	// news has something that is not to wait for the next regular report.
	news          chan struct{}
	stop, stopped chan struct{}
	// What the last report said, for the rate; used by one goroutine at a time.
	reportedAt time.Time
	reported   int64
}

func newProgress(reporter Reporter, logger *slog.Logger) *progress {
	return &progress{reporter: reporter, logger: logger, news: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), reportedAt: time.Now()}
}

// start begins to report until finish.
func (p *progress) start() {
	go func() {
		defer close(p.stopped)
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-p.news:
				if time.Since(p.reportedAt) >= reportAtMostEvery && p.due() {
					p.report()
				}
			case <-ticker.C:
				if p.due() {
					p.report()
				}
			}
		}
	}()
}

// finish reports one last time.
func (p *progress) finish(problem *Poison) {
	close(p.stop)
	<-p.stopped
	p.update(func(r *Report) { r.Problem = problem })
	p.report()
}

// begin notes where a session begins.
func (p *progress) begin(stage Stage, position, target int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed, p.changed = position, true
	p.current.Stage, p.current.Position, p.current.Target = string(stage), position, target
	p.current.Head = max(p.current.Head, position)
}

func (p *progress) update(change func(*Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.current)
	p.changed = true
}

// moved notes a committed chunk, and how many events were skipped so far.
func (p *progress) moved(position, events, skipped int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed, p.skipped = position, skipped
	p.applied += events
}

// secured notes that what was committed is on the disk, and so may be told: a
// report must never be ahead of what a crash leaves.
func (p *progress) secured() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = p.changed || p.current.Position != p.committed
	p.current.Position, p.current.Skipped = p.committed, p.skipped
	p.current.Head = max(p.current.Head, p.committed)
}

// hurry has the report made now rather than in a while.
func (p *progress) hurry() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *progress) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed || time.Since(p.reportedAt) >= reportAtLeastEvery
}

func (p *progress) report() {
	p.mu.Lock()
	now := time.Now()
	if elapsed := now.Sub(p.reportedAt).Seconds(); elapsed > 0 {
		p.current.EventsPerSecond = smooth(p.current.EventsPerSecond, float64(p.applied-p.reported)/elapsed)
	}
	p.reportedAt, p.reported, p.changed = now, p.applied, false
	r := p.current
	p.mu.Unlock()
	if p.reporter == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	if err := p.reporter.Report(ctx, r); err != nil {
		p.logger.Warn("report the progress", "error", err)
	}
}

// smooth weighs the newest rate with a third, and takes the first as it is.
func smooth(before, now float64) float64 {
	if before == 0 {
		return now
	}
	return before + (now-before)/3
}

// head notes the log's highest position, which is news only if it is higher.
func (p *progress) head(position int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if position > p.current.Head {
		p.current.Head, p.changed = position, true
	}
}

// waits notes whom the run waits for and returns what was noted before.
func (p *progress) waits(who string) (before string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.current.Waiting
	p.current.Waiting, p.changed = who, p.changed || before != who
	return before
}
