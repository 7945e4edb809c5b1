package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	// pollTimeout bounds one look at a server.
	pollTimeout = 4 * time.Second
	// settledAfter is how old a look at the head of the log must be for an event
	// that is not applied to count as lag: followers report twice a second.
	settledAfter = 2 * time.Second
	// Of a dozen looks at a source, one is at who can append instead, and one at
	// the databases on its server of releases that have another source.
	round         = 12
	rightsTurn    = 0
	databasesTurn = 6
)

// pollers look at each server for all releases that name it, and wake those at
// rest for which something changed. They run while this operator leads.
type pollers struct {
	interval time.Duration
	servers  *servers
	resting  *resting
	metrics  *metrics
	// spawn runs a poller; tests let it look when they want to.
	spawn func(run func())

	// drifts counts for each release how often something of it was changed on a
	// server by others.
	drifts drifts

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // the controller's, for pollers that are started later
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	running map[string]*poller
}

func newPollers(interval time.Duration, s *servers, rest *resting, m *metrics) *pollers {
	p := &pollers{interval: interval, servers: s, resting: rest, metrics: m, spawn: func(run func()) { go run() }, running: map[string]*poller{}}
	s.opened, s.closed = p.begin, p.end
	return p
}

// Start implements source.Source: the controller starts it when it leads.
func (p *pollers) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ctx, p.queue = ctx, queue
	return nil
}

// begin has a server polled from now on.
func (p *pollers) begin(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	started := &poller{pollers: p, server: s, cancel: cancel, turn: 1 + rand.IntN(round-1), //nolint:gosec // spreads load
		log: ctrl.LoggerFrom(p.ctx).WithName("poll").WithValues("server", s.address()), events: s.log}
	s.setPolled()
	p.running[s.key] = started
	p.spawn(func() { started.run(ctx) })
}

func (p *pollers) end(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.running[s.key]; ok {
		known.cancel()
		delete(p.running, s.key)
	}
}

// settledHead is where the log of a source ended a moment ago, if that is known.
func (p *pollers) settledHead(key string) (int64, bool) {
	p.mu.Lock()
	known, ok := p.running[key]
	p.mu.Unlock()
	if !ok {
		return 0, false
	}
	return known.settledHead(time.Now())
}

func (p *pollers) wake(name types.NamespacedName) {
	p.queue.Add(reconcile.Request{NamespacedName: name})
}

// poller looks at one server.
type poller struct {
	*pollers
	server *server
	log    logr.Logger
	events *eventlog.Log
	cancel context.CancelFunc

	// The rest but for heads belongs to its goroutine.
	conn     *pgx.Conn
	turn     int
	failures int
	surveyed ledger.Survey
	// marks are what the last look at databases saw.
	marks map[string]string
	// writers are kept until the next survey says whose roles they are.
	writers *eventlog.Writers

	heads struct {
		sync.Mutex
		last, before head
	}
}

// head is where the log ended at a time.
type head struct {
	position int64
	at       time.Time
}

func (p *poller) run(ctx context.Context) {
	defer p.disconnect()
	// Servers that came to be known together are not looked at together.
	wait := time.Duration(rand.Int64N(int64(p.interval))) //nolint:gosec // spreads load
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = p.interval
		silent := p.server.silent()
		err := p.look(ctx)
		if ctx.Err() != nil {
			return
		}
		p.judge(err, silent)
		p.turn = (p.turn + 1) % round
	}
}

// look takes its turn: one short query, or none.
func (p *poller) look(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	asSource, asDatabases := p.servers.usage(p.server.key)
	switch {
	case len(asDatabases) > 0 && (len(asSource) == 0 || p.turn == databasesTurn):
		return p.lookAtDatabases(bounded, asDatabases)
	case len(asSource) == 0:
		return nil
	case p.turn == rightsTurn:
		return p.lookAtRights(bounded)
	}
	return p.lookAtLedger(bounded, asSource)
}

// judge follows whether the server answers. A connection may break; only a
// server that does not answer twice in a row is taken for one that cannot be
// reached. Other errors are for passes to explain.
func (p *poller) judge(err error, silent bool) {
	if err == nil {
		p.server.answered()
		if silent || p.failures > 1 {
			p.log.Info("the server answers again")
			p.wakeAll()
		}
		p.failures = 0
		return
	}
	p.failures++
	p.log.V(1).Info("the server was not looked at", "problem", err.Error(), "failures", p.failures)
	_, answered := errors.AsType[*pgconn.PgError](err)
	if answered {
		// What is wrong there now is for passes to tell.
		p.server.answered()
	} else {
		p.disconnect()
	}
	news := p.failures == 2 || silent && answered || p.failures > 2 && !answered && !silent
	if !news {
		return
	}
	if !answered {
		p.server.fellSilent(err)
	}
	p.log.Info("the server cannot be looked at", "problem", err.Error())
	p.wakeAll()
}

// wakeAll wakes the releases at rest that name the server, and those that wait
// for it.
func (p *poller) wakeAll() {
	asSource, asDatabases := p.servers.usage(p.server.key)
	for _, name := range slices.Concat(asSource, asDatabases) {
		if _, rests := p.resting.get(name); rests || p.resting.waits(name) {
			p.wake(name)
		}
	}
}

// connect keeps one connection of its own: passes that take all others must not
// keep it from looking.
func (p *poller) connect(ctx context.Context) (*pgx.Conn, error) {
	if p.conn != nil && !p.conn.IsClosed() {
		return p.conn, nil
	}
	var err error
	p.conn, err = pgx.ConnectConfig(ctx, p.server.config.Copy())
	return p.conn, err
}

func (p *poller) disconnect() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.conn = nil
}

func (p *poller) noteHead(position int64, at time.Time) {
	p.heads.Lock()
	defer p.heads.Unlock()
	p.heads.before, p.heads.last = p.heads.last, head{position, at}
}

// settledHead is the newest look at the head that is old enough.
func (p *poller) settledHead(now time.Time) (int64, bool) {
	p.heads.Lock()
	defer p.heads.Unlock()
	for _, h := range []head{p.heads.last, p.heads.before} {
		if !h.at.IsZero() && now.Sub(h.at) >= settledAfter {
			return h.position, true
		}
	}
	return 0, false
}
