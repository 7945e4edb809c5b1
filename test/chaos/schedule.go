package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

// convergence is how long a release may take to come to rest after everything
// that happened to it. A Job that failed twice waits for half a minute, a failed
// stage for as long.
const convergence = 3 * time.Minute

// run goes through the plan's steps and comes to rest at the last one's version.
func (w *world) run(ctx context.Context) error {
	if _, err := w.startOperator(); err != nil {
		return err
	}
	w.book.Arm(w.plan.targets...)
	if err := w.cluster.client.Create(ctx, w.manifest()); err != nil {
		return fmt.Errorf("create the release: %w", err)
	}
	var surroundings sync.WaitGroup
	defer surroundings.Wait()
	for i, s := range w.plan.steps {
		if i > 0 {
			w.log.Info("release", "version", s.version)
			if err := w.change(ctx, func(r *v1alpha1.NawhasRelease) { r.Spec.Version = s.version }); err != nil {
				return fmt.Errorf("release version %s: %w", s.version, err)
			}
		}
		surroundings.Go(func() { w.happen(ctx, s) })
		if err := w.await(ctx, s); err != nil {
			return err
		}
	}
	surroundings.Wait()
	return w.rest(ctx)
}

// await waits until a step is done, or for its pause.
func (w *world) await(ctx context.Context, s step) error {
	if !s.settle {
		return sleep(ctx, s.pause)
	}
	if err := w.reaches(ctx, "live at "+s.version, func(r *v1alpha1.NawhasRelease) bool {
		return isLive(r, s.version) || isSentBack(r, s.version)
	}); err != nil {
		return err
	}
	if s.sick {
		return w.sicken(ctx, s.version)
	}
	return nil
}

// rest waits until the release is where it was last asked to be. A version that
// was sent back needs a word from people to be tried again.
func (w *world) rest(ctx context.Context) error {
	last := w.plan.steps[len(w.plan.steps)-1].version
	found, err := w.get(ctx)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if isSentBack(found, last) {
		w.log.Info("retry", "version", last)
		if err := w.change(ctx, func(r *v1alpha1.NawhasRelease) { r.Spec.Retry++ }); err != nil {
			return fmt.Errorf("ask for another try: %w", err)
		}
	}
	return w.reaches(ctx, "at rest at "+last, func(r *v1alpha1.NawhasRelease) bool { return isLive(r, last) })
}

// stuck is a release that does not go on.
type stuck struct{ what, told string }

func (s *stuck) Error() string {
	return fmt.Sprintf("not %s after %s:\n%s", s.what, convergence, s.told)
}

func (w *world) reaches(ctx context.Context, what string, done func(*v1alpha1.NawhasRelease) bool) error {
	var seen string
	err := until(ctx, convergence, what, func() (bool, error) {
		found, err := w.get(ctx)
		if err != nil {
			return false, err
		}
		seen = told(found)
		return done(found), nil
	})
	if err != nil && ctx.Err() == nil {
		return &stuck{what: what, told: seen}
	}
	if err == nil {
		w.log.Info(what)
	}
	return err
}

// patience is how long a version is left sick. One without a version to go back to
// stays live.
const patience = 40 * time.Second

// sicken has the live version's pods fail until the operator has gone back.
func (w *world) sicken(ctx context.Context, version string) error {
	w.log.Info("sicken", "version", version)
	sick := w.node.Processes(func(p *node.Process) bool { return p.Version == version && p.Stage == "api" })
	for _, p := range sick {
		p.Freeze()
	}
	err := until(ctx, patience, "sent back", func() (bool, error) {
		found, err := w.get(ctx)
		return err == nil && isSentBack(found, version), err
	})
	for _, p := range sick {
		p.Thaw()
	}
	w.log.Info("no longer sick", "version", version, "sent back", err == nil)
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
