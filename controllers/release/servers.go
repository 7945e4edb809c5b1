package release

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	connectTimeout = 5 * time.Second
	// connectionsEach leaves one for each release that is worked on while others
	// hold one in a guard.
	connectionsEach = concurrency + 2
	// idleInTransaction bounds how long a guard of an operator that was lost with
	// its node keeps a successor waiting.
	idleInTransaction = "60s"
	idleConnection    = time.Minute
)

// servers keeps one small pool for each connection string and one open ledger
// for each release. It is safe for concurrent use.
type servers struct {
	mu      sync.Mutex
	pools   map[string]*pgxpool.Pool
	ledgers map[string]openLedger
}

type openLedger struct {
	digest string
	ledger *ledger.Ledger
}

func newServers() *servers {
	return &servers{pools: map[string]*pgxpool.Pool{}, ledgers: map[string]openLedger{}}
}

// pool makes no connection: the first query does.
func (s *servers) pool(ctx context.Context, c *connection) (*pgxpool.Pool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := c.digest()
	if pool, ok := s.pools[key]; ok {
		return pool, nil
	}
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("prepare a pool: %w", err)
	}
	config.ConnConfig = c.config.Copy()
	config.MaxConns = connectionsEach
	config.MinConns = 0
	config.MaxConnIdleTime = idleConnection
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET idle_in_transaction_session_timeout = '"+idleInTransaction+"'")
		return err
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("prepare a pool: %w", err)
	}
	s.pools[key] = pool
	return pool, nil
}

// ledger opens the release's ledger once in this process' life, so that the
// process has one epoch. When the release is known to belong to an installation,
// no other ledger will do.
func (s *servers) ledger(ctx context.Context, c *connection, pool *pgxpool.Pool, release, installation string) (*ledger.Ledger, error) {
	s.mu.Lock()
	before, ok := s.ledgers[release]
	s.mu.Unlock()
	if ok && before.digest == c.digest() {
		return before.ledger, nil
	}
	open := openLedger{digest: c.digest()}
	var err error
	if known, parseErr := uuid.Parse(installation); parseErr == nil {
		open.ledger, err = ledger.OpenKnown(ctx, pool, release, known)
	} else {
		open.ledger, err = ledger.Open(ctx, pool, release)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledgers[release] = open
	return open.ledger, nil
}

// forget drops what is kept for a release that is gone.
func (s *servers) forget(release string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ledgers, release)
}

// close ends all connections.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pool := range s.pools {
		pool.Close()
	}
}
