package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/nawhas/nawhas-operator/internal/releases"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// every is how often a release is read anew. The operator writes progress
// every other second, and times on the screen go on without it.
const every = time.Second

// watch shows a release as it changes. With wait it ends when the wanted
// version is live, or cannot become so without somebody. It asks again and
// again rather than to hold a watch open: that needs no more rights than
// `status`, and outlasts a restart of the API server.
func watch(ctx context.Context, c *releases.Cluster, name string, v view, wait bool) error {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	shown := false
	for {
		summary, err := summarize(ctx, c, name)
		switch {
		case ctx.Err() != nil:
			return over(ctx, v, wait)
		case err != nil && !passing(err, shown):
			return err
		case err != nil:
			if err := v.interrupted(releases.Explain(err)); err != nil {
				return err
			}
		default:
			if err := v.show(summary); err != nil {
				return err
			}
			shown = true
			if done, err := outcome(summary); wait && done {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return over(ctx, v, wait)
		case <-ticks.C:
		}
	}
}

// over is the end of a watch by time, which is an error, or by the user's hand,
// which is one only for who waits: the version is not known to be live.
func over(ctx context.Context, v view, wait bool) error {
	switch {
	case errors.Is(context.Cause(ctx), errTimedOut):
		return fmt.Errorf("%w: %s", errTimedOut, v.last())
	case wait:
		return context.Cause(ctx)
	}
	return nil
}

// passing reports whether an error may be over the next time: the API server
// does not answer, or refuses somebody whom it has shown the release before, as
// when a login or a binding is renewed. Wrong names and missing rights stay.
func passing(err error, shown bool) bool {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return shown
	}
	problem, known := errors.AsType[*releases.Problem](releases.Explain(err))
	return known && problem.Silent
}

// outcome says whether a release has come to an end, and whether it is a good one.
func outcome(s screen.Summary) (done bool, err error) {
	switch {
	case s.Ready:
		return true, nil
	case s.Stalled:
		return true, fmt.Errorf("version %s cannot go live: %s: %s", s.Wanted, s.Stage, s.Message)
	}
	return false, nil
}
