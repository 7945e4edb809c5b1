package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
	"github.com/nawhas/nawhas-operator/hack/bench/traffic"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

const (
	// slow and fast are events a second.
	slow, fast = 100, 1000
	// writers are enough to keep up the fast rate when each waits for its commit.
	writers = 16
	// calm is how long a follower needs to settle into doing nothing.
	calm = 2 * time.Second
)

// following is a follower and what was seen of it.
type following struct {
	*bench
	testbed.Nawhas
	process *testbed.Process
	changes *traffic.Changes

	// Milliseconds, a round each, by rate.
	p50, p99 map[int][]float64
	// What a minute of doing nothing costs, a round each: seconds of processor
	// time, and queries a second.
	program, sessions, queries []float64
}

// measureFollow watches the follower of a database with a past.
func measureFollow(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx, "track_commit_timestamp=on")
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	f := &following{bench: b, Nawhas: nawhas, p50: map[int][]float64{}, p99: map[int][]float64{}}
	if err := f.prepare(ctx); err != nil {
		return err
	}
	if f.process, err = f.Start(ctx, source, ours, "follow"); err != nil {
		return err
	}
	for range b.rounds {
		if err := f.round(ctx); err != nil {
			_ = f.process.Kill()
			return err
		}
	}
	if err := f.process.Stop(); err != nil {
		return err
	}
	f.conclude()
	return nil
}

func (f *following) prepare(ctx context.Context) error {
	if err := f.Generate(ctx, source, f.events/10); err != nil {
		return err
	}
	if _, err := f.Replay(ctx, source, ours); err != nil {
		return err
	}
	return f.Server.On(ctx, ours, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT id FROM albums ORDER BY id LIMIT 5000")
		if err != nil {
			return err
		}
		albums, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		f.changes, err = traffic.NewChanges(albums)
		return err
	})
}

func (f *following) round(ctx context.Context) error {
	time.Sleep(calm)
	if err := f.idle(ctx); err != nil {
		return err
	}
	for _, rate := range []int{slow, fast} {
		if err := f.latency(ctx, rate); err != nil {
			return err
		}
	}
	return nil
}

func (f *following) idle(ctx context.Context) error {
	before, err := f.Server.Cost(ctx, f.process, source, ours)
	if err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(f.watched())
	after, err := f.Server.Cost(ctx, f.process, source, ours)
	if err != nil {
		return err
	}
	cost, minutes := after.Minus(before), time.Since(began).Minutes()
	f.program = append(f.program, cost.Program.Seconds()/minutes)
	f.sessions = append(f.sessions, cost.Sessions.Seconds()/minutes)
	f.queries = append(f.queries, float64(cost.Transactions)/minutes/60)
	return nil
}

// latency appends at a rate and compares when a commit was acknowledged to its
// writer with when the server committed what the follower made of it.
func (f *following) latency(ctx context.Context, rate int) error {
	began := time.Now()
	acknowledged, err := traffic.AtRate(ctx, f.Server.URL(source), writers, float64(rate), f.watched(), f.changes,
		traffic.ToLog(eventlog.New(eventlog.DefaultTable())))
	if err != nil {
		return err
	}
	achieved := float64(len(acknowledged)) / time.Since(began).Seconds()
	if achieved < 0.9*float64(rate) {
		return fmt.Errorf("writers came to %.0f events/s instead of %d: the disk is too slow or the machine too busy", achieved, rate)
	}
	if err := f.caughtUp(ctx); err != nil {
		return err
	}
	committed, err := f.Server.Committed(ctx, ours, began)
	if err != nil {
		return err
	}
	millis, err := latencies(acknowledged, committed)
	if err != nil {
		return err
	}
	p50, _ := figures.Percentile(millis, 50)
	p99, _ := figures.Percentile(millis, 99)
	f.p50[rate], f.p99[rate] = append(f.p50[rate], p50), append(f.p99[rate], p99)
	f.say("%d events/s: p50 %.2f ms, p99 %.2f ms", rate, p50, p99)
	return nil
}

func (f *following) caughtUp(ctx context.Context) error {
	var head int64
	err := f.Server.On(ctx, source, func(conn *pgx.Conn) error {
		var err error
		head, err = eventlog.New(eventlog.DefaultTable()).Head(ctx, conn)
		return err
	})
	if err != nil {
		return err
	}
	_, err = f.Server.AwaitPosition(ctx, ours, head)
	return err
}

// latencies are the milliseconds from each event's acknowledgement to its
// projection. It is below zero where the follower was quicker than the news.
func latencies(acknowledged, committed map[uuid.UUID]time.Time) ([]float64, error) {
	millis := make([]float64, 0, len(acknowledged))
	for id, at := range acknowledged {
		visible, ok := committed[id]
		if !ok {
			return nil, fmt.Errorf("event %s was acknowledged and never projected", id)
		}
		millis = append(millis, float64(visible.Sub(at).Microseconds())/1000)
	}
	return millis, nil
}

func (f *following) conclude() {
	f.Add(figures.Told("follow: commit to visible, p50, 100 events/s", figures.Median(f.p50[slow]), "ms"))
	f.Add(figures.Told("follow: commit to visible, p99, 100 events/s", figures.Median(f.p99[slow]), "ms"))
	f.Add(figures.Told("follow: commit to visible, p50, 1,000 events/s", figures.Median(f.p50[fast]), "ms").Aiming(3))
	f.Add(figures.AtMost("follow: commit to visible, p99, 1,000 events/s", figures.Median(f.p99[fast]), "ms", 50).Aiming(15))
	f.Add(figures.Told("follow: idle, the program's processor time", figures.Median(f.program), "s/min"))
	f.Add(figures.Told("follow: idle, processor time of its sessions", figures.Median(f.sessions), "s/min"))
	f.Add(figures.Told("follow: idle, queries", figures.Median(f.queries), "/s").Noting("in the log's database and the version's"))
}
