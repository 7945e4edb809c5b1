package release

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

const (
	connectTimeout = 5 * time.Second
	// answerTimeout is how long a server may take to answer a statement. No
	// statement of the operator needs more than a part of it.
	answerTimeout = 10 * time.Second
	// buildTimeout is the same for making and dropping a database: the server
	// copies files, and may write out everything that it holds in memory before.
	buildTimeout = 2 * time.Minute
	// idleInTransaction bounds how long a guard of an operator that was lost with
	// its node keeps a successor waiting.
	idleInTransaction = "60s"
	idleConnection    = time.Minute
	// preparedStatements is how many statements a connection remembers.
	preparedStatements = 64
	// pingTimeout is after when an idle connection is given up.
	pingTimeout = 2 * time.Second
	// silencePause is between two tries to reach a server that does not answer.
	silencePause = 5 * time.Second
)

// errNoAnswer ends a statement that a server does not answer.
var errNoAnswer = errors.New("no answer in time")

// server is a database server as one account reaches it, shared by all releases
// that name it. It is safe for concurrent use.
//
// It bounds what a server that hangs can take from others: only some passes at
// a time wait for one server, none of them for long, and none at all once the
// server is known not to answer.
type server struct {
	key    string
	config *pgx.ConnConfig
	pool   *pgxpool.Pool
	places int
	// log is the one that its releases have there: a release with another log in
	// the same place has another server.
	log *eventlog.Log

	mu     sync.Mutex
	passes int
	// silence is why the server is taken not to answer, nil while it does.
	silence error
	retryAt time.Time
	// polled says that a poller finds out when the server answers again.
	polled bool
}

// newServer makes no connection: the first query does.
func newServer(c *connection, places int, next pgx.QueryTracer) (*server, error) {
	s := &server{key: c.digest(), config: c.config.Copy(), places: places, log: c.log}
	if s.log == nil {
		s.log = defaultLog
	}
	s.config.Tracer = &answers{server: s, next: next}
	// A few dozen statements are asked again and again. The caches of a connection
	// are made as large as they may become.
	s.config.StatementCacheCapacity, s.config.DescriptionCacheCapacity = preparedStatements, 0
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("prepare a pool: %w", err)
	}
	config.ConnConfig = s.config.Copy()
	// Each pass may hold a second connection beside the one of its guard.
	config.MaxConns = int32(2 * places) //nolint:gosec // a handful
	config.MinConns = 0
	config.MaxConnIdleTime = idleConnection
	config.PingTimeout = pingTimeout
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET idle_in_transaction_session_timeout = '"+idleInTransaction+"'")
		return err
	}
	s.pool, err = pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("prepare a pool: %w", err)
	}
	return s, nil
}

// enter takes a place for a pass, which leave gives back. It does not wait: a
// busy server is errBusy, one that does not answer the reason why.
func (s *server) enter(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silence != nil {
		if s.polled || now.Before(s.retryAt) {
			return s.silence
		}
		s.retryAt = now.Add(silencePause)
	}
	if s.passes >= s.places {
		return errBusy
	}
	s.passes++
	return nil
}

// full reports whether as many passes as may are at work.
func (s *server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passes >= s.places
}

func (s *server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passes--
}

// fellSilent notes that the server did not answer. The first reason stays, so
// that what is said of it does too.
func (s *server) fellSilent(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retryAt = time.Now().Add(silencePause)
	if s.silence == nil {
		s.silence = err
	}
}

// answered notes that the server answers.
func (s *server) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silence = nil
}

// answeredPass notes that it answered a pass. A poller asks for itself, so that
// it can wake all who wait.
func (s *server) answeredPass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.polled {
		s.silence = nil
	}
}

// setPolled notes that a poller finds out when the server answers again.
func (s *server) setPolled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polled = true
}

func (s *server) address() string {
	return net.JoinHostPort(s.config.Host, strconv.Itoa(int(s.config.Port)))
}

func (s *server) silent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silence != nil
}

// answers is told of everything that is asked of a server. It bounds how long
// an answer may take, notes when there is none, and measures the waiting.
type answers struct {
	server *server
	next   pgx.QueryTracer
}

type (
	statementKey struct{}
	acquireKey   struct{}
)

// statement is something that a server is asked.
type statement struct {
	cancel context.CancelFunc
	wait   *waits
}

// TraceQueryStart implements pgx.QueryTracer.
func (a *answers) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	timeout := answerTimeout
	if strings.HasPrefix(data.SQL, "CREATE DATABASE") || strings.HasPrefix(data.SQL, "DROP DATABASE") {
		timeout = buildTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errNoAnswer)
	w := databasesWaits(ctx)
	w.begin()
	limited = context.WithValue(limited, statementKey{}, &statement{cancel: cancel, wait: w})
	if a.next != nil {
		return a.next.TraceQueryStart(limited, conn, data)
	}
	return limited
}

// TraceQueryEnd implements pgx.QueryTracer.
func (a *answers) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if a.next != nil {
		a.next.TraceQueryEnd(ctx, conn, data)
	}
	if data.Err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		a.server.fellSilent(errNoAnswer)
	}
	if data.Err == nil {
		a.server.answeredPass()
	}
	if asked, ok := ctx.Value(statementKey{}).(*statement); ok {
		asked.wait.end()
		asked.cancel()
	}
}

// TraceConnectStart implements pgx.ConnectTracer.
func (a *answers) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	databasesWaits(ctx).begin()
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (a *answers) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	databasesWaits(ctx).end()
	if isTimeout(data.Err) && ctx.Err() == nil {
		a.server.fellSilent(errNoAnswer)
	}
}

// TraceAcquireStart implements pgxpool.AcquireTracer. The pool tries one idle
// connection after the other; together they have as long as one statement.
func (a *answers) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	w := databasesWaits(ctx)
	w.begin()
	limited, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	return context.WithValue(limited, acquireKey{}, &statement{cancel: cancel, wait: w})
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (a *answers) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		a.server.fellSilent(errNoAnswer)
	}
	if asked, ok := ctx.Value(acquireKey{}).(*statement); ok {
		asked.wait.end()
		asked.cancel()
	}
}

func isTimeout(err error) bool {
	var netErr net.Error
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout())
}
