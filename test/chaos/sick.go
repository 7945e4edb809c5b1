package main

import (
	"context"
	"slices"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

// How long a version is left sick that there is a way back from, and one that
// stays live.
const (
	patience   = 90 * time.Second
	indulgence = 20 * time.Second
)

// sicken has the live version's pods fail until the operator has gone back, if
// there is a way back.
func (w *world) sicken(ctx context.Context, version string) error {
	var due bool
	err := w.asks(ctx, &due, `SELECT EXISTS (SELECT FROM nawhas_ledger.versions WHERE role = 'Warm' AND held IS NULL) AND NOT EXISTS (
		SELECT FROM nawhas_ledger.versions live JOIN nawhas_ledger.versions later ON later.created_at > live.created_at
		WHERE live.version = $1 AND later.live_since IS NOT NULL)`, version)
	if err != nil {
		return err
	}
	sick := w.node.Processes(func(p *node.Process) bool { return p.Version == version && p.Stage == "api" })
	w.log.Info("sicken", "version", version, "pods", len(sick), "due", due)
	for _, p := range sick {
		p.Freeze()
	}
	defer func() {
		for _, p := range sick {
			p.Thaw()
		}
	}()
	if len(sick) > 0 {
		w.suffered(sickPods)
	}
	if !due || len(sick) < replicas {
		return sleep(ctx, indulgence)
	}
	return w.within(ctx, patience, "sent back from "+version, func(r *v1alpha1.NawhasRelease) bool {
		return isSentBack(r, version) || !w.anyOf(sick)
	})
}

// anyOf tells whether one of the processes is still there. Pods that were being
// replaced anyway make way for some that are well.
func (w *world) anyOf(processes []*node.Process) bool {
	return len(w.node.Processes(func(p *node.Process) bool { return slices.Contains(processes, p) })) > 0
}
