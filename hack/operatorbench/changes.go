package main

import (
	"context"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/bench/figures"
)

const (
	// calmPause is after a change that was seen, before the next one: whoever else
	// watches has its share of the same processors then.
	calmPause = 100 * time.Millisecond
	// collectEvery is after how many changes the API server collects its garbage:
	// sooner than it would by itself.
	collectEvery = 250
)

// lookAtAll changes one release after the other, each when the one before was seen,
// and judges the passes: the processors are not busy with anything else then.
func (b *bench) lookAtAll(ctx context.Context) error {
	before, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	for i := range b.releases {
		if i%collectEvery == 0 {
			if err := b.collect(ctx); err != nil {
				return err
			}
		}
		if err := b.change(ctx, i, `{"spec":{"retention":{"versions":4}}}`); err != nil {
			return err
		}
		if err := b.watcher.awaitOne(ctx, nameOf(i), "seen", sees(4)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(calmPause):
		}
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	after, err := b.operator.scrape(ctx)
	if err != nil {
		return err
	}
	const what = "a change of each release"
	passes := after.histogram("nawhas_pass_seconds").minus(before.histogram("nawhas_pass_seconds"))
	b.Add(figures.Told(what+": writes to the API server", (after.writes()-before.writes())/float64(b.releases), "per release"))
	b.Add(figures.Told(what+": pass without databases p50", 1000*passes.quantile(0.5), "ms"))
	b.Add(figures.AtMost(what+": pass without databases p99", 1000*passes.quantile(0.99), "ms", mustPass).
		Noting("%s apart; the API server collects its garbage between passes, each %d", calmPause, collectEvery))
	b.tellParts(what, before, after)
	return b.tellMemory(what)
}

// sees tells whether the operator has seen that so many versions are to be kept.
func sees(versions int) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.ObservedGeneration == r.Generation && r.Spec.Retention.Versions != nil && int(*r.Spec.Retention.Versions) == versions
	}
}
