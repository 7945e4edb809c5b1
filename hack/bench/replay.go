package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/rivals"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

// The databases of the replays.
const (
	source    = "source"
	smallLog  = "source_small"
	reference = "nawhas_reference"
	small     = "nawhas_small"
	ours      = "nawhas_ours"
	theirs    = "nawhas_theirs"
)

// replays compares a replay with other ways to the same database. The slow
// ones are given a small log.
type replays struct {
	*bench
	testbed.Nawhas
	dump string
	// emmett is nil where it cannot be installed.
	emmett *rivals.Emmett

	// Seconds, a round each; those of Emmett by the size of its batches.
	replay, restore, sql, loop []float64
	batches                    map[int][]float64
}

func measureReplay(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	r := &replays{bench: b, Nawhas: nawhas, dump: filepath.Join(b.out, "reference.dump"), batches: map[int][]float64{}}
	defer func() { _ = os.Remove(r.dump) }()
	var missing error
	if r.emmett, missing = rivals.InstallEmmett(ctx, r.Server, filepath.Join(r.out, "emmett")); missing != nil {
		r.say("Emmett is left out: %v", missing)
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	for round := range b.rounds {
		if err := r.round(ctx, round); err != nil {
			return err
		}
	}
	r.conclude()
	return missing
}

// prepare makes the logs, the finished databases that the rivals' are compared
// with, and a dump of the big one.
func (r *replays) prepare(ctx context.Context) error {
	r.say("making logs of %s and %s events, and a dump of the finished database", figures.Grouped(int64(r.events)), figures.Grouped(int64(r.smallEvents)))
	for _, made := range []struct {
		log, database string
		events        int
	}{{source, reference, r.events}, {smallLog, small, r.smallEvents}} {
		if err := r.Generate(ctx, made.log, made.events); err != nil {
			return err
		}
		if _, err := r.Replay(ctx, made.log, made.database); err != nil {
			return err
		}
	}
	return rivals.Dump(ctx, r.Server, reference, r.dump)
}

// round measures everything once. Every second round goes the other way round,
// so that none always comes after the same one.
func (r *replays) round(ctx context.Context, round int) error {
	steps := []func(context.Context) error{r.timeReplay, r.timeRestore, r.timeSQL, r.timeLoop, r.timeEmmett}
	for i := range steps {
		step := steps[i]
		if round%2 == 1 {
			step = steps[len(steps)-1-i]
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *replays) timeReplay(ctx context.Context) error {
	usage, err := r.Replay(ctx, source, ours)
	if err != nil {
		return err
	}
	if len(r.replay) == 0 {
		if err := r.Server.SameContent(ctx, reference, ours); err != nil {
			return err
		}
	}
	r.replay = append(r.replay, usage.Elapsed.Seconds())
	r.tell("replay", r.events, usage.Elapsed)
	return r.Server.Drop(ctx, ours)
}

func (r *replays) conclude() {
	replay, restore := figures.Median(r.replay), figures.Median(r.restore)
	perSecond := float64(r.events) / replay
	big, few := figures.Grouped(int64(r.events))+" events", figures.Grouped(int64(r.smallEvents))+" events"
	r.Add(figures.Told("replay", replay, "s").Noting("%s", big))
	r.Add(figures.Told("replay: rate", perSecond, "events/s"))
	r.Add(figures.Told("pg_restore -j2 and ANALYZE", restore, "s").Noting("%s", big))
	r.Add(figures.AtMost("replay / pg_restore -j2", replay/restore, "×", 1.5).Aiming(1))
	r.Add(figures.Told("pure SQL", figures.Median(r.sql), "s").Noting("%s, without ids of its own, counts of races, checkpoint and progress", big))
	r.Add(figures.Told("replay / pure SQL", replay/figures.Median(r.sql), "×"))
	loop := float64(r.smallEvents) / figures.Median(r.loop)
	r.Add(figures.Told("one event a transaction: rate", loop, "events/s").Noting("%s", few))
	r.Add(figures.AtLeast("replay's rate / one event a transaction", perSecond/loop, "×", 15))
	if r.emmett == nil {
		return
	}
	batch, emmett := r.bestBatch()
	r.Add(figures.Told("Emmett: best rate", emmett, "events/s").Noting("%s, batches of %d", few, batch))
	r.Add(figures.AtLeast("replay's rate / Emmett's best", perSecond/emmett, "×", 20).Aiming(40))
}

// bestBatch is the size of batches that Emmett is quickest with, and its rate.
func (r *replays) bestBatch() (batch int, perSecond float64) {
	for size, seconds := range r.batches {
		if rate := float64(r.smallEvents) / figures.Median(seconds); rate > perSecond {
			batch, perSecond = size, rate
		}
	}
	return batch, perSecond
}

func (r *replays) tell(what string, events int, took time.Duration) {
	r.say("%s: %s events in %.2f s, %s events/s", what, figures.Grouped(int64(events)), took.Seconds(),
		figures.Grouped(int64(float64(events)/took.Seconds())))
}
