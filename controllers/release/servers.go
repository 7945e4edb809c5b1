package release

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// errBusy says that as many passes as may are at work on a server.
var errBusy = errors.New("other releases are at work on the server")

// servers keeps the servers that releases name, and one open ledger for each
// release. It is safe for concurrent use.
type servers struct {
	// places is how many passes may be at work on one server at a time.
	places int
	// opened is told of each new server, closed of each that nobody names any more.
	opened func(*server)
	closed func(*server)

	mu      sync.Mutex
	servers map[string]*server
	uses    map[types.NamespacedName]use
	ledgers map[string]openLedger
}

// use is which servers a release names, by their keys.
type use struct{ source, databases string }

type openLedger struct {
	digest string
	// pool is the one that it was opened on: a server that no release named for a
	// while has another since.
	pool   *pgxpool.Pool
	ledger *ledger.Ledger
}

func newServers(places int) *servers {
	return &servers{places: places, opened: func(*server) {}, closed: func(*server) {}, servers: map[string]*server{},
		uses: map[types.NamespacedName]use{}, ledgers: map[string]openLedger{}}
}

// enter takes a place on both servers of a release for one pass; leave gives
// them back. A *refusedError says which of them does not answer, and errBusy
// that the pass has to come again.
func (s *servers) enter(name types.NamespacedName, source, databases *connection, tracer pgx.QueryTracer) (v visit, err error) {
	if v.source, v.databases, err = s.find(name, source, databases, tracer); err != nil {
		return visit{}, err
	}
	now := time.Now()
	if err := v.source.enter(now); err != nil {
		return visit{}, refused(err, "the source", source)
	}
	if v.databases == v.source {
		return v, nil
	}
	if err := v.databases.enter(now); err != nil {
		v.source.leave()
		return visit{}, refused(err, "the databases server", databases)
	}
	return v, nil
}

// busy reports whether a server that a release named in its last pass has no place for
// another. Unless its Secrets say something else since, its next pass would find that
// out too, but not before it has read everything that it needs to know the server.
func (s *servers) busy(name types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.uses[name]
	for _, key := range []string{used.source, used.databases} {
		named, ok := s.servers[key]
		switch {
		case !ok || named.silent():
			return false // which the pass is to tell
		case named.full():
			return true
		}
	}
	return false
}

// refusedError is a server that is not asked, because it does not answer.
type refusedError struct{ connectFailed }

func (e *refusedError) Unwrap() error { return &e.connectFailed }

func refused(err error, what string, c *connection) error {
	if errors.Is(err, errBusy) {
		return err
	}
	return &refusedError{connectFailed{what: what, address: c.address(), account: c.account(), err: err}}
}

// visit is a pass at work on the servers of its release.
type visit struct{ source, databases *server }

func (v visit) leave() {
	if v.source == nil {
		return
	}
	v.source.leave()
	if v.databases != v.source {
		v.databases.leave()
	}
}

// find is the servers of a release, and notes that it names them.
func (s *servers) find(name types.NamespacedName, source, databases *connection, tracer pgx.QueryTracer) (onSource, onDatabases *server, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if onSource, err = s.open(source, tracer); err != nil {
		return nil, nil, err
	}
	if onDatabases, err = s.open(databases, tracer); err != nil {
		return nil, nil, err
	}
	wanted := use{onSource.key, onDatabases.key}
	if s.uses[name] != wanted {
		s.uses[name] = wanted
		s.drop()
	}
	return onSource, onDatabases, nil
}

func (s *servers) open(c *connection, tracer pgx.QueryTracer) (*server, error) {
	if known, ok := s.servers[c.digest()]; ok {
		return known, nil
	}
	opened, err := newServer(c, s.places, tracer)
	if err != nil {
		return nil, err
	}
	s.servers[opened.key] = opened
	s.opened(opened)
	return opened, nil
}

// drop closes the servers that no release names any more: their passwords may
// have been changed because they were lost.
func (s *servers) drop() {
	named := map[string]bool{}
	for _, u := range s.uses {
		named[u.source], named[u.databases] = true, true
	}
	for key, server := range s.servers {
		if named[key] {
			continue
		}
		delete(s.servers, key)
		s.closed(server)
		// Passes that are at work there come to their end.
		go server.pool.Close()
	}
}

// usage tells what the releases use a server for, and which they are.
func (s *servers) usage(key string) (asSource, asDatabases []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, u := range s.uses {
		if u.source == key {
			asSource = append(asSource, name)
		}
		if u.databases == key {
			asDatabases = append(asDatabases, name)
		}
	}
	return asSource, asDatabases
}

// ledger opens the release's ledger once in this process' life, so that the
// process has one epoch. When the release is known to belong to an installation,
// no other ledger will do. One that ends takes nothing from another holder.
func (s *servers) ledger(ctx context.Context, c *connection, pool *pgxpool.Pool, release, holder, installation string, ends bool) (*ledger.Ledger, error) {
	s.mu.Lock()
	before, ok := s.ledgers[release]
	s.mu.Unlock()
	if ok && before.digest == c.digest() && before.pool == pool {
		return before.ledger, nil
	}
	open := openLedger{digest: c.digest(), pool: pool}
	known, parseErr := uuid.Parse(installation)
	if parseErr != nil {
		known = uuid.Nil
	}
	var err error
	switch {
	case ends:
		open.ledger, err = ledger.OpenHeld(ctx, pool, release, holder, known)
	case parseErr == nil:
		open.ledger, err = ledger.OpenKnown(ctx, pool, release, holder, known)
	default:
		open.ledger, err = ledger.Open(ctx, pool, release, holder)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledgers[release] = open
	return open.ledger, nil
}

// reopen has the release's ledger opened anew by the next pass.
func (s *servers) reopen(release string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ledgers, release)
}

// forget drops what is kept for a release that is gone.
func (s *servers) forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ledgers, name.Namespace+"/"+name.Name)
	delete(s.uses, name)
	s.drop()
}

// close ends all connections.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		s.closed(server)
		server.pool.Close()
	}
}
