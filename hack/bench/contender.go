package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/rivals"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

// contender is a way to build a version's database.
type contender struct {
	name   string
	events int
	// build makes the database and tells how long that took, without what was
	// done before it began.
	build func(context.Context) (time.Duration, error)
	// compare holds the first one built against a replay's.
	compare func(context.Context) error
	seconds []float64
	// server is set where its processor time is the building's: elsewhere much is
	// done before. It is counted in seconds.
	server    *testbed.Server
	serverCPU []float64
}

func (c *contender) measure(ctx context.Context) error {
	took, err := c.buildCounted(ctx)
	if err != nil {
		return err
	}
	if len(c.seconds) == 0 {
		if err := c.compare(ctx); err != nil {
			return fmt.Errorf("compare what was built (%s): %w", c.name, err)
		}
	}
	c.seconds = append(c.seconds, took.Seconds())
	return nil
}

func (c *contender) buildCounted(ctx context.Context) (time.Duration, error) {
	if c.server == nil {
		return c.build(ctx)
	}
	before, err := c.server.CPU(ctx)
	if err != nil {
		return 0, err
	}
	took, err := c.build(ctx)
	if err != nil {
		return 0, err
	}
	after, err := c.server.CPU(ctx)
	c.serverCPU = append(c.serverCPU, (after - before).Seconds())
	return took, err
}

// rate is the median in events a second.
func (c *contender) rate() float64 { return float64(c.events) / figures.Median(c.seconds) }

// faster is how many times the rate of another this one's is.
func (c *contender) faster(other *contender) float64 {
	return figures.Ratio(other.seconds, c.seconds) * float64(c.events) / float64(other.events)
}

// last tells the last measurement.
func (c *contender) last() string {
	seconds := c.seconds[len(c.seconds)-1]
	return fmt.Sprintf("%s: %s events in %.2f s, %s events/s", c.name, figures.Grouped(int64(c.events)), seconds,
		figures.Grouped(int64(float64(c.events)/seconds)))
}

// enter names the contenders that need nothing but Postgres.
func (r *replays) enter() {
	r.replay = &contender{name: "replay", events: r.events, compare: r.sameAs(reference),
		server: r.Server, build: func(ctx context.Context) (time.Duration, error) {
			usage, err := r.Replay(ctx, source, built)
			r.programCPU = append(r.programCPU, usage.CPU.Seconds())
			return usage.Elapsed, err
		}}
	r.restore = &contender{name: "pg_restore -j2 and ANALYZE", events: r.events, compare: r.sameAs(reference),
		server: r.Server, build: func(ctx context.Context) (time.Duration, error) {
			return rivals.Restore(ctx, r.Server, r.dump, built)
		}}
	r.sql = &contender{name: "pure SQL", events: r.events, compare: r.sameLibraryAs(reference),
		build: func(ctx context.Context) (time.Duration, error) {
			if err := r.Migrate(ctx, source, built); err != nil {
				return 0, err
			}
			if err := rivals.PutLog(ctx, r.Server, source, built); err != nil {
				return 0, err
			}
			return rivals.SQL(ctx, r.Server, built)
		}}
	r.loop = &contender{name: "one event a transaction", events: r.smallEvents, compare: r.sameAs(small),
		build: func(ctx context.Context) (time.Duration, error) {
			if err := r.Migrate(ctx, smallLog, built); err != nil {
				return 0, err
			}
			return rivals.Loop(ctx, r.Server, smallLog, built)
		}}
}

// enterEmmett names Emmett, if it can be installed.
func (r *replays) enterEmmett(ctx context.Context) error {
	emmett, err := rivals.InstallEmmett(ctx, r.Server, filepath.Join(r.out, "emmett"))
	if err != nil {
		r.say("Emmett is left out: %v", err)
		return err
	}
	for _, batch := range rivals.EmmettBatches {
		r.emmett = append(r.emmett, &contender{name: fmt.Sprintf("Emmett in batches of %d", batch), events: r.smallEvents, compare: r.sameLibraryAs(small),
			build: func(ctx context.Context) (time.Duration, error) {
				if err := r.Migrate(ctx, smallLog, built); err != nil {
					return 0, err
				}
				if err := emmett.Prepare(ctx, smallLog, built); err != nil {
					return 0, err
				}
				return emmett.Rebuild(ctx, built, batch)
			}})
	}
	return nil
}

func (r *replays) sameAs(database string) func(context.Context) error {
	return func(ctx context.Context) error { return r.Server.SameContent(ctx, database, built) }
}

func (r *replays) sameLibraryAs(database string) func(context.Context) error {
	return func(ctx context.Context) error { return r.Server.SameLibrary(ctx, database, built) }
}
