package release

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	connectTimeout  = 5 * time.Second
	connectionsEach = 4
	idleConnection  = time.Minute
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
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("prepare a pool: %w", err)
	}
	s.pools[key] = pool
	return pool, nil
}

// ledger opens the release's ledger once in this process' life, so that the
// process has one epoch.
func (s *servers) ledger(ctx context.Context, c *connection, pool *pgxpool.Pool, release string) (*ledger.Ledger, error) {
	s.mu.Lock()
	open, ok := s.ledgers[release]
	s.mu.Unlock()
	if ok && open.digest == c.digest() {
		return open.ledger, nil
	}
	opened, err := ledger.Open(ctx, pool, release)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledgers[release] = openLedger{digest: c.digest(), ledger: opened}
	return opened, nil
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
