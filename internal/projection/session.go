package projection

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// run is a Replay or a Follow with its options filled in.
type run struct {
	Options
	name string
	// synchronous is whether commits wait for the disk.
	synchronous string
	skip        map[uuid.UUID]bool
	progress    *progress
	result      Result
	started     time.Time
}

func newRun(name string, o Options) *run {
	if o.Log == nil {
		o.Log = eventlog.New(eventlog.DefaultTable())
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Silence == 0 {
		o.Silence = 15 * time.Second
	}
	if o.ChunkBytes == 0 {
		o.ChunkBytes = 16 << 20
	}
	if o.Decoders == 0 {
		o.Decoders = runtime.GOMAXPROCS(0)
	}
	r := &run{Options: o, name: name, skip: map[uuid.UUID]bool{}, progress: newProgress(o.Reporter, o.Logger), started: time.Now()}
	for _, id := range o.Skip {
		r.skip[id] = true
	}
	r.result.Outcomes = map[string]map[Outcome]int64{}
	return r
}

// session is one attempt at the work: a connection to each database, the lock
// and an epoch of its own.
type session struct {
	*run
	source, database *pgx.Conn
	// wire is for what is done often in the version's database.
	wire       *wire
	checkpoint Checkpoint
}

// open connects to both databases, takes the version's over and recognises
// the log.
func (r *run) open(ctx context.Context) (*session, error) {
	s := &session{run: r}
	if err := s.connect(ctx); err != nil {
		s.close()
		return nil, err
	}
	if err := s.takeOver(ctx); err != nil {
		s.close()
		return nil, err
	}
	if err := s.Log.Compare(ctx, s.source, s.checkpoint.Tail); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, conn := range []*pgx.Conn{s.source, s.database} {
		if conn != nil {
			_ = conn.Close(ctx)
		}
	}
}

func (s *session) connect(ctx context.Context) error {
	var err error
	if s.source, err = s.dial(ctx, "the source", s.Source, nil); err != nil {
		return err
	}
	if err := s.Log.Check(ctx, s.source); err != nil {
		return err
	}
	if s.database, err = s.dial(ctx, "the version's database", s.Database, keyed); err != nil {
		return err
	}
	s.wire = newWire(s.database)
	return nil
}

// keyed has a session find rows by an index always, whatever Postgres makes of
// tables without statistics that grow meanwhile, and plan each statement once.
var keyed = map[string]string{"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	// A forbidden way that has to be taken counts as dear enough to compile.
	"jit": "off"}

// dialer finds out within half a minute that the other side is gone without
// having said so.
var dialer = net.Dialer{Timeout: 10 * time.Second,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}

func (s *session) dial(ctx context.Context, what, url string, settings map[string]string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the address of %s: it is not a connection string", what)
	}
	config.DialFunc = dialer.DialContext
	config.RuntimeParams["application_name"] = "nawhas " + s.name
	// What a role allows its other sessions is too short for an index.
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["synchronous_commit"] = s.synchronous
	for name, value := range settings {
		config.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", what, err)
	}
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("ask %s for its process: %w", what, err)
	}
	// A pooler answers with a process of its own.
	if pid != conn.PgConn().PID() {
		_ = conn.Close(ctx)
		return nil, &PooledError{Database: what}
	}
	return conn, nil
}

// applierLock is the session lock that an applier holds in its database.
const applierLock int64 = 0x6e61776861730002

// takeOver waits for the lock, ends a silent holder, and raises the epoch.
func (s *session) takeOver(ctx context.Context) error {
	if _, err := ReadCheckpoint(ctx, s.database); err != nil {
		return err
	}
	for waited := false; ; waited = true {
		var locked bool
		if err := s.database.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", applierLock).Scan(&locked); err != nil {
			return fmt.Errorf("take the lock of the version's database: %w", err)
		}
		if locked {
			return s.begin(ctx)
		}
		if !waited {
			s.Logger.Info("another process works on this database; waiting until it ends or falls silent", "silence", s.Silence)
		}
		if err := s.endSilent(ctx); err != nil {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("wait for another process that works on this database: %w", err)
		}
	}
}

// endSilent ends the session that holds the lock if it has waited for its
// client for too long: a working applier never does.
func (s *session) endSilent(ctx context.Context) error {
	tag, err := s.database.Exec(ctx, `SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
			AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1::bigint & 4294967295
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (a.state <> 'active' OR a.wait_event_type = 'Client')
			AND clock_timestamp() - a.state_change > make_interval(secs => $2)`, applierLock, s.Silence.Seconds())
	if err != nil {
		return fmt.Errorf("end a silent holder of the database's lock: %w", err)
	}
	if tag.RowsAffected() > 0 {
		s.Logger.Warn("ended a silent session that held this database's lock", "sessions", tag.RowsAffected())
	}
	return nil
}

// begin raises the epoch and remembers who the source is.
func (s *session) begin(ctx context.Context) error {
	identity, err := s.Log.Identity(ctx, s.source)
	if err != nil {
		return err
	}
	// In one statement: an epoch that is read later may be another's.
	s.checkpoint, err = scanCheckpoint(s.database.QueryRow(ctx,
		"UPDATE checkpoint SET epoch = epoch + 1, source = $1, updated_at = now() RETURNING "+checkpointColumns, identity))
	if err != nil {
		return fmt.Errorf("raise the epoch of the checkpoint: %w", err)
	}
	return nil
}

// alive runs work that does not use the version's database and meanwhile
// keeps its session from looking silent.
func (s *session) alive(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var result error
	done := make(chan struct{})
	go func() {
		defer close(done)
		result = work(ctx)
	}()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return result
		case <-ticker.C:
			if err := s.heartbeat(ctx); err != nil {
				cancel()
				<-done
				return err
			}
		}
	}
}

// heartbeat shows that this session works, and finds out whether it still has
// the lock: a session that was ended has not.
func (s *session) heartbeat(ctx context.Context) error {
	if _, err := s.database.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("keep the lock of the version's database: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
