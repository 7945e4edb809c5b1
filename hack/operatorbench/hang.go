package main

import (
	"context"
	"fmt"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/bench/figures"
)

// mustDelay is how much later than otherwise a release may be looked at after a
// change because another one's server hangs. Both are the longest of many times.
const mustDelay = 2.0

// hangOne has a source not answer, right when all of its releases want to be
// worked on, and sees how soon others are.
func (b *bench) hangOne(ctx context.Context) error {
	calm, err := b.react(ctx, b.hang/3)
	if err != nil {
		return err
	}
	b.wire.hold(true)
	var stuck []int
	for i := range b.releases {
		if b.sourceOf(i) == 0 {
			stuck = append(stuck, i)
		}
	}
	held := time.Now()
	if err := each(stuck, func(i int) error { return b.change(ctx, i, `{"spec":{"retention":{"versions":5}}}`) }); err != nil {
		return err
	}
	hanging, err := b.react(ctx, b.hang)
	if err != nil {
		return err
	}
	silent := func(r *v1alpha1.NawhasRelease) bool {
		return reasonOf(r, v1alpha1.ConditionDatabaseReady) == v1alpha1.ReasonUnreachable
	}
	if err := b.watcher.await(ctx, len(stuck), "known not to be reachable", silent); err != nil {
		return err
	}
	known := time.Since(held)
	b.wire.hold(false)
	released := time.Now()
	healthy := func(r *v1alpha1.NawhasRelease) bool { return !silent(r) && r.Status.ObservedGeneration == r.Generation }
	if err := b.watcher.await(ctx, b.releases, "as before", healthy); err != nil {
		return err
	}
	b.Add(figures.Told("without a stuck source: a change is seen after, at most", calm, "s"))
	b.Add(figures.Told("one stuck source: a change of another release is seen after, at most", hanging, "s"))
	b.Add(figures.AtMost("one stuck source: that is later by", max(0, hanging-calm), "s", mustDelay))
	b.Add(figures.Told("one stuck source: all of its releases say so after, at most", known.Seconds(), "s").Noting("not looked at before %s were over", b.hang))
	b.Add(figures.Told("one stuck source: all of its releases go on after", time.Since(released).Seconds(), "s"))
	return b.tellMemory("one stuck source")
}

// react changes one release after the other whose source answers, and returns
// the longest time in seconds until the operator had seen one.
func (b *bench) react(ctx context.Context, window time.Duration) (float64, error) {
	longest := 0.0
	deadline := time.Now().Add(window)
	for i, versions := 0, 6; time.Now().Before(deadline); i++ {
		if i == b.releases {
			i, versions = 0, versions+1
		}
		if b.sourceOf(i) == 0 {
			continue
		}
		name, started := nameOf(i), time.Now()
		if err := b.change(ctx, i, fmt.Sprintf(`{"spec":{"retention":{"versions":%d}}}`, versions)); err != nil {
			return 0, err
		}
		if err := b.watcher.awaitOne(ctx, name, "seen", sees(versions)); err != nil {
			return 0, err
		}
		longest = max(longest, time.Since(started).Seconds())
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return longest, nil
}
