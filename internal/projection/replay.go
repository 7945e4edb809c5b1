package projection

import (
	"context"
	"errors"
	"math"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// replayChunk is how many events a replay applies in one transaction: the more,
// the fewer times the row of an entity is written.
const replayChunk = 250_000

// throttledChunk is how many seconds of events a replay whose rate is bounded
// applies in one transaction: it shows how far it is, and loses little when it
// is ended.
const throttledChunk = 10

// replayBatch is how many events are read, decoded and folded at a time.
var replayBatch = 5_000

// Replay builds an empty, migrated database from the log, up to the log's
// watermark at its start. A replay that was interrupted goes on after its last
// chunk; one that is complete is left as it is.
func Replay(ctx context.Context, o Options) (Result, error) {
	if o.ChunkEvents == 0 {
		o.ChunkEvents = replayChunk
	}
	if o.MaxEventsPerSecond > 0 {
		o.ChunkEvents = int(min(int64(o.ChunkEvents), o.MaxEventsPerSecond*throttledChunk))
	}
	r := newRun("replay", o)
	r.synchronous = "on"
	r.progress.start()
	err := r.replay(ctx)
	r.result.Elapsed = time.Since(r.started)
	poison, _ := errors.AsType[*Poison](err)
	r.progress.finish(poison)
	return r.result, err
}

// replay builds the database. When it comes to an event that cannot be applied
// it begins again, at the last chunk, to apply exactly what comes before.
func (r *run) replay(ctx context.Context) error {
	err := r.replayUpTo(ctx, math.MaxInt64)
	poison, ok := errors.AsType[*Poison](err)
	if !ok {
		return err
	}
	if err := r.replayUpTo(ctx, poison.Position-1); err != nil {
		return err
	}
	return poison
}

// replayUpTo goes no further than the given position, and completes the
// database only if that is not in the way.
func (r *run) replayUpTo(ctx context.Context, limit int64) error {
	s, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	r.result.Position = s.checkpoint.Position
	r.progress.begin(s.checkpoint.Stage, s.checkpoint.Position, 0)
	if s.checkpoint.Stage == StageComplete {
		return nil
	}
	if s.checkpoint.Stage != StageIndexing {
		if done, err := s.replayLog(ctx, limit); !done || err != nil {
			return err
		}
	}
	return s.complete(ctx)
}

// replayLog applies all events up to the watermark or the limit, and tells
// whether it was the watermark.
func (s *session) replayLog(ctx context.Context, limit int64) (bool, error) {
	target, err := s.watermark(ctx)
	if err != nil {
		return false, err
	}
	next := s.checkpoint
	next.Stage, next.Target = StageReplaying, &target
	if err := s.mark(ctx, next); err != nil {
		return false, err
	}
	s.progress.update(func(p *Report) { p.Target, p.Head = target, target })
	if err := s.undisturbed(ctx); err != nil {
		return false, err
	}
	if upTo := min(target, limit); upTo > s.checkpoint.Position {
		if err := s.applyLog(ctx, upTo); err != nil {
			return false, err
		}
	}
	if limit < target {
		return false, nil
	}
	next = s.checkpoint
	next.Stage = StageIndexing
	return true, s.mark(ctx, next)
}

// applyLog has one goroutine read and decode, one fold, and one write, each
// with a session of its own.
func (s *session) applyLog(ctx context.Context, upTo int64) error {
	lookups, err := s.dial(ctx, "the version's database", s.Database, keyed)
	if err != nil {
		return err
	}
	defer func() { _ = lookups.Close(context.WithoutCancel(ctx)) }()
	a, err := s.applier(ctx, newWire(lookups))
	if err != nil {
		return err
	}
	for _, t := range a.tables() {
		if err := t.collectKeys(ctx, s.database); err != nil {
			return err
		}
	}
	batches, steps := make(chan []Event, 2), make(chan *step, 6)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(batches)
		return s.readLog(ctx, a.decoder(), upTo, batches)
	})
	group.Go(func() error {
		defer close(steps)
		return a.foldAll(ctx, batches, steps)
	})
	group.Go(func() error { return s.writeAll(ctx, a, steps) })
	return group.Wait()
}

func (s *session) readLog(ctx context.Context, d *decoder, upTo int64, batches chan<- []Event) error {
	reader := s.Log.Reader(s.source, s.checkpoint.Position)
	reader.Settled(upTo)
	limit := eventlog.Limit{Events: min(s.ChunkEvents, replayBatch), Bytes: s.ChunkBytes, UpTo: upTo}
	pace := rate.NewLimiter(rate.Inf, 0)
	if s.MaxEventsPerSecond > 0 {
		limit.Events = int(min(int64(limit.Events), s.MaxEventsPerSecond))
		pace = rate.NewLimiter(rate.Limit(s.MaxEventsPerSecond), limit.Events)
	}
	for {
		recorded, err := reader.Next(ctx, limit)
		if err != nil {
			return err
		}
		if len(recorded) == 0 {
			s.result.Dead = reader.Dead()
			return nil
		}
		if err := pace.WaitN(ctx, len(recorded)); err != nil {
			return err
		}
		if err := send(ctx, batches, d.decode(recorded)); err != nil {
			return err
		}
	}
}

// foldAll folds the batches and cuts them into chunks. While it folds one, the
// rows for the next are looked up, if that has been read already.
func (a *applier) foldAll(ctx context.Context, batches <-chan []Event, steps chan<- *step) error {
	batch, more := <-batches
	for more {
		if err := a.received(); err != nil {
			return err
		}
		if a.full() || a.chunkEvents+len(batch) > a.ChunkEvents {
			if err := a.cut(ctx, steps); err != nil {
				return err
			}
		}
		if err := a.load(ctx, batch); err != nil {
			return err
		}
		var next []Event
		select {
		case next, more = <-batches:
			if err := a.foresee(ctx, next); err != nil {
				return err
			}
		default:
		}
		if err := a.apply(batch); err != nil {
			return err
		}
		if err := send(ctx, steps, a.take(false)); err != nil {
			return err
		}
		if batch = next; more && batch == nil {
			batch, more = <-batches
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.cut(ctx, steps)
}

// cut ends the chunk at work.
func (a *applier) cut(ctx context.Context, steps chan<- *step) error {
	if a.chunkEvents == 0 {
		return nil
	}
	return send(ctx, steps, a.take(true))
}

// writeAll writes the steps. While there is none it keeps the session from
// looking silent.
func (s *session) writeAll(ctx context.Context, a *applier, steps <-chan *step) error {
	w := &writer{wire: s.wire}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var events, skipped int64
	for {
		select {
		case next, more := <-steps:
			if !more {
				return nil
			}
			if err := w.write(ctx, next); err != nil {
				return err
			}
			events, skipped = events+next.events, skipped+next.skipped
			if next.last {
				a.committed.Store(next.chunk)
				s.wrote(next, events, skipped)
				s.progress.secured()
				events, skipped = 0, 0
			}
		case <-ticker.C:
			if err := s.heartbeat(ctx); err != nil {
				return err
			}
		}
	}
}

func send[T any](ctx context.Context, to chan<- T, value T) error {
	select {
	case to <- value:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mark moves the checkpoint's stage.
func (s *session) mark(ctx context.Context, next Checkpoint) error {
	if err := s.wire.runGuarded(ctx, s.checkpoint, advance(s.checkpoint, next)); err != nil {
		return err
	}
	s.checkpoint = next
	s.progress.update(func(p *Report) { p.Stage = string(next.Stage) })
	return nil
}

// wrote notes that a chunk is committed.
func (s *session) wrote(last *step, events, skipped int64) {
	s.checkpoint = last.next
	s.result.Position = last.next.Position
	s.result.Events += events
	s.result.Skipped += skipped
	for projector, counts := range last.outcomes {
		for outcome, n := range counts {
			add(s.result.Outcomes, projector, outcome, n)
		}
	}
	s.progress.moved(last.next.Position, events+skipped, s.result.Skipped)
}
