package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

const (
	// followChunk is how many events a follower applies in one transaction.
	followChunk = 500
	// shortestPause and longestPause are between two looks at a quiet log.
	shortestPause = time.Millisecond
	longestPause  = 100 * time.Millisecond
	headEvery     = 500 * time.Millisecond
	// lull is how long no event must have come to speak of a pause.
	lull = 20 * time.Millisecond
	// shortestRetry and longestRetry are before another session is tried.
	shortestRetry = 100 * time.Millisecond
	longestRetry  = 5 * time.Second
)

// Follow keeps a complete database current until the context ends, which is
// no error, or until it has applied exactly the events up to Options.Until.
// When a server goes away it waits and goes on from the checkpoint.
func Follow(ctx context.Context, o Options) (Result, error) {
	if o.ChunkEvents == 0 {
		o.ChunkEvents = followChunk
	}
	r := newRun("follow", o)
	// The checkpoint goes back with what a crash takes, so that commits need not
	// wait for the disk.
	r.synchronous = "off"
	r.progress.start()
	err := r.follow(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	r.result.Elapsed = time.Since(r.started)
	poison, _ := errors.AsType[*Poison](err)
	r.progress.finish(poison)
	return r.result, err
}

// follow opens sessions one after the other. The first must succeed, so that a
// wrong address is told at once.
func (r *run) follow(ctx context.Context) error {
	connected := false
	retry := shortestRetry
	for {
		began := time.Now()
		s, err := r.open(ctx)
		if err == nil {
			connected = true
			err = s.follow(ctx)
			s.close()
		}
		// A session that fails as soon as it is there is no success.
		if time.Since(began) > longestRetry {
			retry = shortestRetry
		}
		if err == nil || !connected || !passing(err) {
			return err
		}
		r.Logger.Warn("a server went away; trying again", "error", err, "in", retry)
		if err := sleep(ctx, retry); err != nil {
			return err
		}
		retry = min(2*retry, longestRetry)
	}
}

func (s *session) follow(ctx context.Context) error {
	if s.checkpoint.Stage != StageComplete {
		return &StageError{Stage: s.checkpoint.Stage,
			Message: fmt.Sprintf("this database is %s, not complete; run `nawhas replay` to its end first", s.checkpoint.Stage)}
	}
	if s.Until != 0 && s.checkpoint.Position > s.Until {
		return &StageError{Stage: s.checkpoint.Stage,
			Message: fmt.Sprintf("this database is at position %d already, past %d", s.checkpoint.Position, s.Until)}
	}
	s.result.Position = s.checkpoint.Position
	a, err := s.applier(ctx, s.wire)
	if err != nil {
		return err
	}
	f := &follower{applier: a, log: s.Log.Reader(s.source, s.checkpoint.Position), pause: shortestPause, secured: -1}
	f.decode = f.applier.decoder()
	// A crash may still take what an earlier follower has committed.
	if err := f.secure(ctx); err != nil {
		return err
	}
	s.progress.begin(s.checkpoint.Stage, s.checkpoint.Position, s.Until)
	return f.follow(ctx)
}

// follower is one session's way along the log.
type follower struct {
	*applier
	decode *decoder
	log    *eventlog.Reader
	pause  time.Duration
	// secured is the last position that is known to be on the disk.
	secured int64
	// When the head was last read, and the version's database last touched.
	headAt, touchedAt time.Time
	// heldAt is the position at which writers hold the follower up, since heldSince.
	heldAt    int64
	heldSince time.Time
}

func (f *follower) follow(ctx context.Context) error {
	err := f.loop(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	if failed := f.secure(last); failed != nil {
		return errors.Join(err, failed)
	}
	f.progress.secured()
	return err
}

// secure has everything that was committed written to the disk, so that it can
// be reported. Commits do not wait for that one by one.
func (f *follower) secure(ctx context.Context) error {
	if f.secured == f.checkpoint.Position {
		return nil
	}
	err := pgx.BeginFunc(ctx, f.database, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = on"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE checkpoint SET updated_at = now()")
		return err
	})
	if err != nil {
		return fmt.Errorf("write the checkpoint to the disk: %w", err)
	}
	f.secured, f.touchedAt = f.checkpoint.Position, time.Now()
	return nil
}

func (f *follower) loop(ctx context.Context) error {
	for {
		moved, err := f.step(ctx)
		if err != nil {
			return err
		}
		if done, err := f.done(ctx, moved); done || err != nil {
			return err
		}
		if err := f.observe(ctx); err != nil {
			return err
		}
		if moved {
			f.pause = shortestPause
			continue
		}
		if err := sleep(ctx, f.pause); err != nil {
			return err
		}
		f.pause = min(f.pause+f.pause/8, longestPause)
	}
}

// step applies the next events, if there are any.
func (f *follower) step(ctx context.Context) (bool, error) {
	dead := f.log.Dead()
	recorded, err := f.log.Next(ctx, eventlog.Limit{Events: f.ChunkEvents, Bytes: f.ChunkBytes, UpTo: f.Until})
	if err != nil || len(recorded) == 0 {
		return false, err
	}
	err = f.apply(ctx, f.decode.decode(recorded))
	f.touchedAt = time.Now()
	f.result.Dead += f.log.Dead() - dead
	return true, err
}

// apply applies the events in one transaction. At an event that cannot be
// applied it stops after the one before and returns a [*Poison].
func (f *follower) apply(ctx context.Context, events []Event) error {
	f.full()
	err := f.fold(ctx, events)
	poison, poisoned := errors.AsType[*Poison](err)
	if poisoned {
		if err := f.renew(ctx); err != nil {
			return err
		}
		i := slices.IndexFunc(events, func(e Event) bool { return e.Position == poison.Position })
		if events = events[:i]; len(events) == 0 {
			return poison
		}
		err = f.fold(ctx, events)
	}
	if err != nil {
		return err
	}
	s := f.take(true)
	if err := (&writer{wire: f.wire}).write(ctx, s); err != nil {
		return err
	}
	f.committed.Store(s.chunk)
	f.wrote(s, s.events, s.skipped)
	if poisoned {
		return poison
	}
	return nil
}

// done tells whether the follower has come to the position it was sent to. If
// that position holds no event, nothing at or below it may still appear.
func (f *follower) done(ctx context.Context, moved bool) (bool, error) {
	if f.Until == 0 || moved && f.checkpoint.Position < f.Until {
		return false, nil
	}
	if f.checkpoint.Position == f.Until {
		return true, nil
	}
	head, err := f.Log.Head(ctx, f.source)
	if err != nil || head < f.Until {
		return false, err
	}
	w, err := f.watermark(ctx)
	if err != nil {
		return false, err
	}
	f.log.Settled(w)
	moved, err = f.step(ctx)
	return err == nil && !moved, err
}

// observe tells the progress twice a second, or soon after the last event of a
// while: writers may be waiting for a switch. And it keeps the session from
// looking silent.
func (f *follower) observe(ctx context.Context) error {
	now := time.Now()
	every := headEvery
	if f.secured != f.checkpoint.Position && now.Sub(f.touchedAt) >= lull {
		every = reportAtMostEvery
	}
	if now.Sub(f.headAt) >= every {
		f.headAt = now
		if err := f.tell(ctx); err != nil {
			return err
		}
	}
	if now.Sub(f.touchedAt) >= time.Second {
		f.touchedAt = now
		return f.heartbeat(ctx)
	}
	return nil
}

// tell makes the progress ready for the next report.
func (f *follower) tell(ctx context.Context) error {
	if err := f.secure(ctx); err != nil {
		return err
	}
	f.progress.secured()
	head, err := f.Log.Head(ctx, f.source)
	if err != nil {
		return err
	}
	f.progress.head(head)
	f.progress.hurry()
	held, err := f.log.HeldBy(ctx)
	if err != nil {
		return err
	}
	f.waiting(f.tooLong(held, time.Now()))
	return nil
}

// tooLong names a writer that has kept the follower at one position for too
// long, if there is one. How old its transaction is the follower's role may not
// see.
func (f *follower) tooLong(held []eventlog.Holder, now time.Time) string {
	if len(held) == 0 {
		f.heldSince = time.Time{}
		return ""
	}
	if position := f.log.Position(); f.heldSince.IsZero() || position != f.heldAt {
		f.heldAt, f.heldSince = position, now
	}
	if now.Sub(f.heldSince) <= patience {
		return ""
	}
	return slices.MaxFunc(held, func(a, b eventlog.Holder) int { return cmp.Compare(a.Age(), b.Age()) }).String()
}

// passing tells whether an error may be gone after a while without anyone
// doing anything about it.
func passing(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Connection, resources, and the operator's intervention.
		return strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "53") || strings.HasPrefix(refused.Code, "57P")
	}
	return !lasting[*Poison](err) && !lasting[*StageError](err) && !lasting[*TakenOverError](err) && !lasting[*PooledError](err) &&
		!lasting[*UndeclaredError](err) && !lasting[*eventlog.DivergedError](err) && !lasting[*eventlog.PreconditionError](err)
}

func lasting[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
