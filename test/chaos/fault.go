package main

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

// fault is what happens to the surroundings of a release.
type fault string

const (
	noFault fault = ""
	// postgresKilled is a Postgres that loses its power and comes back.
	postgresKilled fault = "postgres"
	// apiOutage is an API server that is away.
	apiOutage fault = "outage"
	// hangingWriter is a transaction that has appended and does not end.
	hangingWriter fault = "writer"
	// straggler is a transaction of the version that makes way which appends after
	// the switch and does not end by itself.
	straggler fault = "straggler"
	// writersInTurn are transactions that append one after the other, without a
	// moment between them.
	writersInTurn fault = "writers"
	// laggingFollower is a follower that stands still.
	laggingFollower fault = "lag"
	// secondOperator is an operator too many.
	secondOperator fault = "operator"
	// slowServer is a Postgres that takes its time.
	slowServer fault = "slow"
	// newPasswords are Secrets of all versions that were deleted.
	newPasswords fault = "passwords"
	// restoredLedger is a ledger that has forgotten the latest epochs.
	restoredLedger fault = "restored"
	// sickPods stop answering, and strayRight is a right to append that somebody
	// gives back; they come once a version is live, see step.then.
	sickPods   fault = "sick"
	strayRight fault = "right"
)

var faults = []fault{postgresKilled, apiOutage, hangingWriter, straggler, writersInTurn, laggingFollower, secondOperator, slowServer, newPasswords, restoredLedger}

// happen lets a step's fault happen.
func (w *world) happen(ctx context.Context, s step) {
	if s.fault == noFault || sleep(ctx, s.at) != nil {
		return
	}
	w.log.Info("fault", "fault", s.fault)
	if err := w.inflict(ctx, s); err != nil {
		w.log.Warn("no fault", "fault", s.fault, "error", err)
		return
	}
	w.suffered(s.fault)
}

// suffered counts a fault that happened.
func (w *world) suffered(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[f]++
}

var errNobody = errors.New("nobody is there to have it")

func (w *world) inflict(ctx context.Context, s step) error {
	switch s.fault {
	case postgresKilled:
		// Another step's may not be over.
		w.power.Lock()
		defer w.power.Unlock()
		w.postgres.Kill()
		_ = sleep(ctx, 500*time.Millisecond)
		return w.postgres.Restart()
	case apiOutage:
		for _, o := range w.running() {
			o.api.Outage(ctx, 2*time.Second)
		}
	case hangingWriter:
		return w.hang(ctx)
	case straggler:
		return w.straggle(ctx, s.version)
	case writersInTurn:
		return w.writeInTurn(ctx, s.version)
	case laggingFollower:
		followers := w.node.Processes(func(p *node.Process) bool { return p.Stage == "follower" })
		if len(followers) == 0 {
			return errNobody
		}
		for _, p := range followers {
			p.Freeze()
		}
		_ = sleep(ctx, 3*time.Second)
		for _, p := range followers {
			p.Thaw()
		}
	case secondOperator:
		return w.companion(ctx)
	case slowServer:
		w.proxy.Slow(5 * time.Millisecond)
		_ = sleep(ctx, 5*time.Second)
		w.proxy.Slow(0)
	case restoredLedger:
		return w.restore(ctx)
	case newPasswords:
		return w.cluster.client.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(w.namespace), client.HasLabels{v1alpha1.LabelVersion})
	}
	return nil
}

// companion is a second operator that works for a while once it has taken the
// release over.
func (w *world) companion(ctx context.Context) error {
	before := w.epoch()
	another, err := w.startOperator()
	if err != nil {
		return err
	}
	defer another.stop()
	for deadline := time.Now().Add(takeover); w.epoch() <= before && time.Now().Before(deadline); {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return sleep(ctx, stale)
}

// restore takes the ledger's epoch back by more than any that operators which are
// still there can have.
func (w *world) restore(ctx context.Context) error {
	conn, err := w.source(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, "UPDATE nawhas_ledger.releases SET epoch = epoch - 1000")
	return err
}
