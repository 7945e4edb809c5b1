package main

import (
	"context"
	"errors"
	"fmt"
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
	loopLog   = "source_loop"
	reference = "nawhas_reference"
	ours      = "nawhas_ours"
	theirs    = "nawhas_theirs"
)

// replays compares a replay with other ways to the same database.
type replays struct {
	*bench
	testbed.Nawhas
	dump string

	replay, restore, loop []float64 // seconds
}

func measureReplay(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	r := &replays{bench: b, Nawhas: nawhas, dump: filepath.Join(b.out, "reference.dump")}
	defer func() { _ = os.Remove(r.dump) }()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	for round := range b.rounds {
		if err := r.round(ctx, round); err != nil {
			return err
		}
	}
	r.conclude()
	return nil
}

// prepare makes the logs, and the finished database that is a backup's content.
func (r *replays) prepare(ctx context.Context) error {
	r.say("making logs of %s and %s events, and a dump of the finished database", figures.Grouped(int64(r.events)), figures.Grouped(int64(r.loopEvents)))
	for log, events := range map[string]int{source: r.events, loopLog: r.loopEvents} {
		if err := r.Generate(ctx, log, events); err != nil {
			return err
		}
	}
	if _, err := r.Replay(ctx, source, reference); err != nil {
		return err
	}
	return rivals.Dump(ctx, r.Server, reference, r.dump)
}

// round measures everything once. Every second round goes the other way round,
// so that none always comes after the same one.
func (r *replays) round(ctx context.Context, round int) error {
	steps := []func(context.Context) error{r.timeReplay, r.timeRestore, r.timeLoop}
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
	r.replay = append(r.replay, usage.Elapsed.Seconds())
	r.say("replay %.2f s (%s events/s), peak %d MiB, own CPU %.2f s", usage.Elapsed.Seconds(), rate(r.events, usage.Elapsed), usage.PeakRSS>>20, usage.CPU.Seconds())
	return r.Server.Drop(ctx, ours)
}

func (r *replays) timeRestore(ctx context.Context) error {
	took, err := rivals.Restore(ctx, r.Server, r.dump, theirs)
	if err != nil {
		return err
	}
	r.restore = append(r.restore, took.Seconds())
	r.say("pg_restore -j2 and ANALYZE %.2f s (%s events/s)", took.Seconds(), rate(r.events, took))
	return r.Server.Drop(ctx, theirs)
}

func (r *replays) timeLoop(ctx context.Context) error {
	if err := r.Migrate(ctx, loopLog, theirs); err != nil {
		return err
	}
	took, err := rivals.Loop(ctx, r.Server, loopLog, theirs)
	if err != nil {
		return err
	}
	r.loop = append(r.loop, took.Seconds())
	r.say("one event a transaction, %s events: %.2f s (%s events/s)", figures.Grouped(int64(r.loopEvents)), took.Seconds(), rate(r.loopEvents, took))
	if len(r.loop) == 1 {
		return r.compareLoop(ctx)
	}
	return nil
}

// compareLoop holds the loop's database against a replay of the same log.
func (r *replays) compareLoop(ctx context.Context) error {
	if _, err := r.Replay(ctx, loopLog, ours); err != nil {
		return err
	}
	want, err := r.Server.ContentHash(ctx, ours)
	if err != nil {
		return err
	}
	got, err := r.Server.ContentHash(ctx, theirs)
	if err != nil {
		return err
	}
	for table, sum := range want.Tables {
		if got.Tables[table] != sum {
			err = errors.Join(err, fmt.Errorf("table %s differs between a replay and the loop", table))
		}
	}
	if err == nil {
		r.say("the loop's database has the same content hash as a replay's")
	}
	return err
}

func (r *replays) conclude() {
	replay, restore := figures.Median(r.replay), figures.Median(r.restore)
	perSecond := float64(r.events) / replay
	loopPerSecond := float64(r.loopEvents) / figures.Median(r.loop)
	r.Add(figures.Told("replay", replay, "s").Noting("%s events", figures.Grouped(int64(r.events))))
	r.Add(figures.Told("replay: rate", perSecond, "events/s"))
	r.Add(figures.Told("pg_restore -j2 and ANALYZE", restore, "s"))
	r.Add(figures.AtMost("replay / pg_restore -j2", replay/restore, "×", 1.5).Aiming(1))
	r.Add(figures.Told("one event a transaction: rate", loopPerSecond, "events/s").Noting("%s events", figures.Grouped(int64(r.loopEvents))))
	r.Add(figures.AtLeast("replay / one event a transaction", perSecond/loopPerSecond, "×", 15))
}

func rate(events int, took time.Duration) string {
	return figures.Grouped(int64(float64(events) / took.Seconds()))
}
