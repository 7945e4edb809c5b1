package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
)

// The least that has to be reached.
const (
	mustMemory = 200.0
	mustPass   = 50.0
	// pollSeconds is between two looks of the operator at a source.
	pollSeconds = 5.0
)

// goLive creates the releases, so many at a time, until all are live.
func (b *bench) goLive(ctx context.Context) error {
	if err := b.makeSecrets(ctx); err != nil {
		return err
	}
	before, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	for made := 0; made < b.releases; {
		// As many as are missing for as many on their way as may be.
		if err := b.watcher.await(ctx, made-b.atOnce+1, "live", isLive(firstVersion)); err != nil {
			return err
		}
		more := min(b.releases-made, b.atOnce-(made-b.watcher.are(isLive(firstVersion))))
		batch := make([]int, 0, more)
		for i := range more {
			batch = append(batch, made+i)
		}
		if err := each(batch, func(i int) error { return b.client.Create(ctx, b.aRelease(i)) }); err != nil {
			return fmt.Errorf("create releases: %w", err)
		}
		made += more
	}
	if err := b.watcher.await(ctx, b.releases, "live", isLive(firstVersion)); err != nil {
		return err
	}
	return b.tellWay(ctx, "go live", before, b.releases)
}

// goOn takes some releases to the next version at once.
func (b *bench) goOn(ctx context.Context) error {
	before, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	if err := each(upTo(b.atOnce), func(i int) error { return b.change(ctx, i, `{"spec":{"version":"`+nextVersion+`"}}`) }); err != nil {
		return err
	}
	if err := b.watcher.await(ctx, b.atOnce, "live", isLive(nextVersion)); err != nil {
		return err
	}
	return b.tellWay(ctx, "next version", before, b.atOnce)
}

func (b *bench) tellWay(ctx context.Context, what string, before told, releases int) error {
	after, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	passes := after.histogram("nawhas_pass_seconds").minus(before.histogram("nawhas_pass_seconds"))
	n := float64(releases)
	b.Add(figures.Told(what+": until all are live", after.at.Sub(before.at).Seconds(), "s"))
	b.Add(figures.Told(what+": writes to the API server", (after.writes()-before.writes())/n, "per release"))
	b.Add(figures.Told(what+": reads of the API server", (after.reads()-before.reads())/n, "per release"))
	b.Add(figures.Told(what+": passes", passes.total/n, "per release"))
	b.Add(figures.Told(what+": pass without databases p50", 1000*passes.quantile(0.5), "ms"))
	b.Add(figures.Told(what+": pass without databases p99", 1000*passes.quantile(0.99), "ms").Noting("all processors are busy with the API server, its controllers and Postgres"))
	b.tellParts(what, before, after)
	b.Add(figures.Told(what+": processor of the operator", 1000*(after.sum("process_cpu_seconds_total", "")-before.sum("process_cpu_seconds_total", ""))/n, "ms per release"))
	return b.tellMemory(what)
}

// tellParts tells what a pass is made of.
func (b *bench) tellParts(what string, before, after told) {
	for _, part := range []struct{ name, metric string }{
		{"own work", "nawhas_pass_work_seconds"}, {"API server", "nawhas_pass_api_seconds"}, {"databases", "nawhas_pass_database_seconds"},
	} {
		h := after.histogram(part.metric).minus(before.histogram(part.metric))
		b.Add(figures.Told(what+": "+part.name+" in a pass p50", 1000*h.quantile(0.5), "ms"))
		b.Add(figures.Told(what+": "+part.name+" in a pass p99", 1000*h.quantile(0.99), "ms"))
	}
}

func (b *bench) tellMemory(what string) error {
	now, most, err := b.operator.rss()
	if err != nil {
		return err
	}
	b.Add(figures.AtMost(what+": memory (RSS)", now, "MiB", mustMemory))
	b.Add(figures.AtMost(what+": most memory so far", most, "MiB", mustMemory))
	return nil
}

// settle waits until there was no pass for a while.
func (b *bench) settle(ctx context.Context) error {
	last, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	for quiet := 0; quiet < 3; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
		}
		now, err := b.operator.scrape(ctx)
		if err != nil {
			return err
		}
		if quiet++; now.histogram("nawhas_pass_seconds").total > last.histogram("nawhas_pass_seconds").total {
			quiet = 0
		}
		last = now
	}
	return nil
}

// observed is how long a version that went live is watched.
const observed = 2*time.Minute + 10*time.Second

// rest watches the operator while nothing happens.
func (b *bench) rest(ctx context.Context) error {
	b.say("waiting until no version is watched any more")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(observed):
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	return b.watchRest(ctx, "steady state", b.steady)
}

func (b *bench) watchRest(ctx context.Context, what string, window time.Duration) error {
	before, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	askedBefore, err := b.statements(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(window):
	}
	askedAfter, err := b.statements(ctx)
	if err != nil {
		return err
	}
	after, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	minutes := after.at.Sub(before.at).Minutes()
	most, calls, seconds := 0.0, int64(0), 0.0
	for source, asked := range askedAfter {
		n := asked.calls - askedBefore[source].calls
		most, calls, seconds = max(most, float64(n)), calls+n, seconds+asked.seconds-askedBefore[source].seconds
	}
	// One look more or less is a matter of when the watching began.
	most = max(0, most-1) * pollSeconds / (60 * minutes)
	b.Add(figures.AtMost(what+": writes to the API server", (after.writes()-before.writes())/minutes, "per minute", 0))
	b.Add(figures.Told(what+": reads of the API server", (after.reads()-before.reads())/minutes, "per minute").Noting("watches that are begun anew, and probes"))
	b.Add(figures.AtMost(what+": queries to the busiest source", most, "per 5 s", 1.0))
	b.Add(figures.Told(what+": a query takes", 1000*seconds/float64(max(1, calls)), "ms"))
	passes := after.histogram("nawhas_pass_seconds").minus(before.histogram("nawhas_pass_seconds"))
	b.Add(figures.Told(what+": passes", passes.total/minutes, "per minute"))
	b.Add(figures.Told(what+": processor of the operator", 100*(after.sum("process_cpu_seconds_total", "")-before.sum("process_cpu_seconds_total", ""))/(60*minutes), "% of one"))
	return b.tellMemory(what)
}

// beBusy appends to one log while the followers of all its releases report, as
// they do twice a second.
func (b *bench) beBusy(ctx context.Context) error {
	busy, stop := context.WithCancel(ctx)
	defer stop()
	const source = 1
	failed := make(chan error, b.releases)
	for i := range b.releases {
		if b.sourceOf(i) == source {
			go func() { failed <- b.follow(busy, i) }()
		}
	}
	go func() { failed <- b.append(busy, source) }()
	// The first look at followers that have just begun may find them behind.
	time.Sleep(5 * time.Second)
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.watchRest(ctx, "busy log", b.busy); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	return nil
}

func (b *bench) append(ctx context.Context, source int) error {
	conn, err := pgx.Connect(ctx, b.server.URL(sourceName(source)))
	if err != nil {
		return fmt.Errorf("connect to append: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for range time.Tick(10 * time.Millisecond) {
		if _, err := conn.Exec(ctx, "INSERT INTO events (id, name, version, payload) VALUES (gen_random_uuid(), 'ReciterCreated', 1, '{}')"); err != nil {
			return ended(ctx, fmt.Errorf("append: %w", err))
		}
	}
	return nil
}

func (b *bench) follow(ctx context.Context, i int) error {
	err := b.watcher.connected(ctx, nameOf(i), firstVersion, "NAWHAS_SOURCE_URL", func(conn *pgx.Conn) error {
		for range time.Tick(500 * time.Millisecond) {
			if err := report(ctx, conn); err != nil {
				return err
			}
		}
		return nil
	})
	return ended(ctx, err)
}

// ended is nil when the error is that it was to end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// restart is a new operator: what it takes to know all again.
func (b *bench) restart(ctx context.Context) error {
	b.operator.stop()
	started := time.Now()
	operator, err := startOperator(ctx, b.manager, b.kubeconfig, b.out)
	if operator != nil {
		b.operator = operator
	}
	if err != nil {
		return err
	}
	b.Add(figures.Told("restart: until ready", time.Since(started).Seconds(), "s"))
	if err := b.settle(ctx); err != nil {
		return err
	}
	after, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	b.Add(figures.Told("restart: writes to the API server", after.writes()/float64(b.releases), "per release").Noting("the epoch on each Service"))
	b.Add(figures.Told("restart: reads of the API server", after.reads(), ""))
	b.Add(figures.Told("restart: pass without databases p99", 1000*after.histogram("nawhas_pass_seconds").quantile(0.99), "ms"))
	return b.tellMemory("restart")
}
