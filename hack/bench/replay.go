package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"

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
	built     = "nawhas_built"
)

// replays compares a replay with other ways to the same database. The slow
// ones are given a small log.
type replays struct {
	*bench
	testbed.Nawhas
	dump string

	replay, restore, sql, loop *contender
	// emmett has one for each size of batches, and is empty where Emmett cannot
	// be installed.
	emmett []*contender
	// programCPU is the replays' own processor time, in seconds.
	programCPU []float64
}

func measureReplay(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	r := &replays{bench: b, Nawhas: nawhas, dump: filepath.Join(b.out, "reference.dump")}
	defer func() { _ = os.Remove(r.dump) }()
	r.enter()
	missing := r.enterEmmett(ctx)
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

// prepare makes the logs, the finished databases that others are compared
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

// round measures all once. Every second round goes the other way round, so that
// none always comes after the same one.
func (r *replays) round(ctx context.Context, round int) error {
	order := append([]*contender{r.replay, r.restore, r.sql, r.loop}, r.emmett...)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	for _, c := range order {
		if err := c.measure(ctx); err != nil {
			return err
		}
		r.say("%s", c.last())
		if err := r.Server.Drop(ctx, built); err != nil {
			return err
		}
	}
	return nil
}

func (r *replays) conclude() {
	many, few := figures.Grouped(int64(r.events))+" events", figures.Grouped(int64(r.smallEvents))+" events"
	r.Add(figures.Told("replay", figures.Median(r.replay.seconds), "s").Noting("%s", many))
	r.Add(figures.Told("replay: rate", r.replay.rate(), "events/s"))
	r.Add(figures.Told("replay: the program's processor time", figures.Median(r.programCPU), "s"))
	r.Add(figures.Told("replay: the server's processor time", figures.Median(r.replay.serverCPU), "s"))
	r.Add(figures.Told("pg_restore -j2 and ANALYZE", figures.Median(r.restore.seconds), "s").Noting("%s", many))
	r.Add(figures.Told("pg_restore: the server's processor time", figures.Median(r.restore.serverCPU), "s"))
	r.Add(figures.AtMost("replay / pg_restore -j2", figures.Ratio(r.replay.seconds, r.restore.seconds), "×", 1.5).Aiming(1))
	r.Add(figures.Told("pure SQL", figures.Median(r.sql.seconds), "s").Noting("%s, without derived ids, counts of races, checkpoint and progress", many))
	r.Add(figures.Told("replay / pure SQL", figures.Ratio(r.replay.seconds, r.sql.seconds), "×"))
	r.Add(figures.Told("one event a transaction: rate", r.loop.rate(), "events/s").Noting("%s", few))
	r.Add(figures.AtLeast("replay's rate / one event a transaction", r.replay.faster(r.loop), "×", 15))
	if len(r.emmett) == 0 {
		return
	}
	best := slices.MaxFunc(r.emmett, func(a, b *contender) int { return cmp.Compare(a.rate(), b.rate()) })
	r.Add(figures.Told("Emmett: best rate", best.rate(), "events/s").Noting("%s, %s", few, best.name))
	r.Add(figures.AtLeast("replay's rate / Emmett's best", r.replay.faster(best), "×", 20).Aiming(40))
}
