package projection

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// replayChunk is how many events a replay applies in one transaction.
const replayChunk = 10_000

// Replay builds an empty, migrated database from the log, up to the log's
// watermark at its start. A replay that was interrupted goes on after its last
// chunk; one that is complete is left as it is.
func Replay(ctx context.Context, o Options) (Result, error) {
	if o.ChunkEvents == 0 {
		o.ChunkEvents = replayChunk
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

func (r *run) replay(ctx context.Context) error {
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
		if err := s.replayLog(ctx); err != nil {
			return err
		}
	}
	return s.complete(ctx)
}

// replayLog applies all events up to the watermark.
func (s *session) replayLog(ctx context.Context) error {
	target, err := s.watermark(ctx)
	if err != nil {
		return err
	}
	next := s.checkpoint
	next.Stage, next.Target = StageReplaying, &target
	if err := s.mark(ctx, next); err != nil {
		return err
	}
	s.progress.update(func(p *Report) { p.Target, p.Head = target, target })
	if err := s.applyLog(ctx, target); err != nil {
		return err
	}
	next = s.checkpoint
	next.Stage = StageIndexing
	return s.mark(ctx, next)
}

// applyLog reads and decodes ahead of the chunk that is being applied.
func (s *session) applyLog(ctx context.Context, target int64) error {
	a := s.applier()
	d := a.decoder()
	chunks := make(chan []Event, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(chunks)
		return s.readLog(ctx, target, func(recorded []eventlog.Event) error {
			select {
			case chunks <- d.decode(recorded):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error {
		for chunk := range chunks {
			err := a.apply(ctx, chunk)
			s.progress.secured()
			if err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

func (s *session) readLog(ctx context.Context, target int64, yield func([]eventlog.Event) error) error {
	reader := s.Log.Reader(s.source, s.checkpoint.Position)
	reader.Settled(target)
	for {
		events, err := reader.Next(ctx, eventlog.Limit{Events: s.ChunkEvents, Bytes: s.ChunkBytes, UpTo: target})
		if err != nil {
			return err
		}
		if len(events) == 0 {
			s.result.Dead = reader.Dead()
			return nil
		}
		if err := yield(events); err != nil {
			return err
		}
	}
}

// mark moves the checkpoint's stage.
func (s *session) mark(ctx context.Context, next Checkpoint) error {
	if err := s.advance(ctx, next); err != nil {
		return err
	}
	s.checkpoint = next
	s.progress.update(func(p *Report) { p.Stage = string(next.Stage) })
	return nil
}
