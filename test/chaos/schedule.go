package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
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
		if i == 0 {
			w.book.Arm(w.plan.later...)
		}
	}
	surroundings.Wait()
	return w.rest(ctx)
}

// await waits until a step is done, or for its pause. Nothing but pods that were
// not ready is a reason for the operator to go back.
func (w *world) await(ctx context.Context, s step) error {
	if !s.settle {
		return sleep(ctx, s.pause)
	}
	if err := w.reaches(ctx, "live at "+s.version, func(r *v1alpha1.NawhasRelease) bool {
		return isLive(r, s.version) || isSentBack(r, s.version)
	}); err != nil {
		return err
	}
	if err := w.isRightlyHeld(ctx, s.version); err != nil {
		return err
	}
	if err := w.afterwards(ctx, s); err != nil {
		return err
	}
	return w.auditLive(ctx)
}

func (w *world) afterwards(ctx context.Context, s step) error {
	switch s.then {
	case sickPods:
		return w.sicken(ctx, s.version)
	case strayRight:
		return w.giveBack(ctx)
	}
	return nil
}

// isRightlyHeld refuses a version that was sent back for another reason than the
// one that faults and kills give.
func (w *world) isRightlyHeld(ctx context.Context, version string) error {
	var why string
	err := w.asks(ctx, &why, "SELECT coalesce((SELECT held->>'reason' FROM nawhas_ledger.versions WHERE version = $1), '')", version)
	if err == nil && why != "" && why != v1alpha1.ReasonPodsNotReady {
		return fmt.Errorf("version %s was sent back: %s", version, why)
	}
	return err
}

// rest waits until the release is where it was last asked to be, and its clients
// are led there.
func (w *world) rest(ctx context.Context) error {
	last := w.plan.steps[len(w.plan.steps)-1].version
	if err := w.comeToRest(ctx, last); err != nil {
		return err
	}
	served, err := w.served(ctx)
	if err == nil && served != last {
		err = fmt.Errorf("version %s is live and at rest, and the Service leads to %s", last, served)
	}
	return err
}

// comeToRest waits until a version is live. One that was sent back needs a word from
// people to be tried again, once.
func (w *world) comeToRest(ctx context.Context, last string) error {
	err := w.reaches(ctx, "at rest at "+last, func(r *v1alpha1.NawhasRelease) bool { return isLive(r, last) || isSentBack(r, last) })
	if err != nil {
		return err
	}
	if err := w.isRightlyHeld(ctx, last); err != nil {
		return err
	}
	found, err := w.get(ctx)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if isLive(found, last) {
		return nil
	}
	w.log.Info("retry", "version", last)
	if err := w.change(ctx, func(r *v1alpha1.NawhasRelease) { r.Spec.Retry++ }); err != nil {
		return fmt.Errorf("ask for another try: %w", err)
	}
	return w.reaches(ctx, "at rest at "+last, func(r *v1alpha1.NawhasRelease) bool { return isLive(r, last) })
}

// stuck is a release that does not go on.
type stuck struct{ what, told string }

func (s *stuck) Error() string { return fmt.Sprintf("not %s:\n%s", s.what, s.told) }

func (w *world) reaches(ctx context.Context, what string, done func(*v1alpha1.NawhasRelease) bool) error {
	return w.within(ctx, convergence, what, done)
}

func (w *world) within(ctx context.Context, limit time.Duration, what string, done func(*v1alpha1.NawhasRelease) bool) error {
	var seen string
	err := until(ctx, limit, what, func() (bool, error) {
		found, err := w.get(ctx)
		if err != nil {
			return false, err
		}
		seen = told(found)
		return done(found), nil
	})
	if err != nil && ctx.Err() == nil {
		return &stuck{what: fmt.Sprintf("%s after %s", what, limit), told: seen}
	}
	if err == nil {
		w.log.Info(what)
	}
	return err
}

// asks asks the ledger, past the proxy, once Postgres is there.
func (w *world) asks(ctx context.Context, answer any, question string, arguments ...any) error {
	return until(ctx, convergence, "answered by the ledger", func() (bool, error) {
		conn, err := w.source(ctx)
		if err != nil {
			return false, err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		err = conn.QueryRow(ctx, question, arguments...).Scan(answer)
		return err == nil, err
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
