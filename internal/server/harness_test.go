package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/blob/memblob"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &postgres)) }

const password = "test-only"

// world is a server on databases of its own, with the app role's real rights:
// SELECT on the version's database and the log, INSERT of four columns while it
// may write.
type world struct {
	t                testing.TB
	postgres         *pgtest.Server
	server           *Server
	url              string
	log              *lockedBuffer
	role, version    string
	database, source string // superuser's connection strings
}

func newWorld(t testing.TB, adjust ...func(*Options)) *world {
	t.Helper()
	return newWorldOn(t, postgres, adjust...)
}

func newWorldOn(t testing.TB, postgres *pgtest.Server, adjust ...func(*Options)) *world {
	t.Helper()
	// One database is both: their tables have different names, and to make a
	// database is most of what a test takes.
	both := postgres.Database(t)
	w := &world{t: t, postgres: postgres, database: both, source: both, log: &lockedBuffer{},
		role: "app_" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	log := eventlog.New(eventlog.DefaultTable())
	options := Options{Version: "3.1.2", Log: log, ReadWait: 100 * time.Millisecond, RequestTimeout: 10 * time.Second, Uploads: memblob.OpenBucket(nil),
		DrainTimeout: 10 * time.Second, Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, change := range adjust {
		change(&options)
	}
	w.version = options.Version
	edition, err := library.EditionOf(w.version)
	must(t, err)
	database, source := w.connect(w.database), w.connect(w.source)
	must(t, library.Migrate(t.Context(), database, edition))
	must(t, log.Init(t.Context(), source))
	postgres.Exec(t, "postgres", "CREATE ROLE "+w.role+" LOGIN PASSWORD '"+password+"'")
	t.Cleanup(func() { w.dropRole() })
	postgres.Exec(t, nameOf(w.database), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+w.role)
	must(t, log.AllowReading(t.Context(), source, w.role))
	must(t, log.AllowAppending(t.Context(), source, w.role))
	w.reach(0)

	options.Database, options.Source = w.pool(w.database), w.pool(w.source)
	w.server, err = New(options)
	must(t, err)
	front := httptest.NewServer(w.server.Handler())
	t.Cleanup(front.Close)
	w.url = front.URL
	return w
}

func nameOf(connection string) string {
	parsed, _ := url.Parse(connection)
	return strings.TrimPrefix(parsed.Path, "/")
}

func (w *world) connect(connection string) *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), connection)
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (w *world) pool(connection string) *pgxpool.Pool {
	w.t.Helper()
	pool, err := pgxpool.New(w.t.Context(), w.postgres.URLAs(w.role, password, nameOf(connection)))
	must(w.t, err)
	w.t.Cleanup(pool.Close)
	return pool
}

func (w *world) dropRole() {
	conn, err := pgx.Connect(context.Background(), w.database)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, _ = conn.Exec(context.Background(), "DROP OWNED BY "+w.role)
}

// reach sets the checkpoint, as a follower would.
func (w *world) reach(position int64) {
	w.t.Helper()
	w.postgres.Exec(w.t, nameOf(w.database), "UPDATE checkpoint SET stage = 'complete', position = "+strconv.FormatInt(position, 10))
}

// reciter puts a reciter into the version's database with one revision.
func (w *world) reciter(name, slug string) uuid.UUID {
	w.t.Helper()
	id := uuid.New()
	w.postgres.Exec(w.t, nameOf(w.database),
		"INSERT INTO reciters VALUES ('"+id.String()+"', '"+name+"', '"+slug+"', 'about', NULL, 1, '2020-01-01Z', '2020-01-01Z')",
		"INSERT INTO revisions VALUES ('"+uuid.NewString()+"', 'reciter:"+id.String()+"', 1, '{\"name\": \""+name+"\"}', '2020-01-01Z')")
	return id
}

func (w *world) album(reciter uuid.UUID, title, year string) uuid.UUID {
	w.t.Helper()
	id := uuid.New()
	w.postgres.Exec(w.t, nameOf(w.database),
		"INSERT INTO albums VALUES ('"+id.String()+"', '"+reciter.String()+"', '"+title+"', '"+year+"', NULL, 1, '2020-01-01Z', '2020-01-01Z')",
		"INSERT INTO revisions VALUES ('"+uuid.NewString()+"', 'album:"+id.String()+"', 1, '{\"title\": \""+title+"\"}', '2020-01-01Z')")
	return id
}

type logged struct {
	Position int64
	ID       uuid.UUID
	Name     string
	Payload  map[string]any
}

// events are all events of the log.
func (w *world) events() []logged {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.source)
	must(w.t, err)
	defer func() { _ = conn.Close(w.t.Context()) }()
	rows, err := conn.Query(w.t.Context(), "SELECT position, id, name, payload FROM events ORDER BY position")
	must(w.t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[logged])
	must(w.t, err)
	return found
}

type reply struct {
	status int
	// closes says that the connection ends with the answer.
	closes bool
	header http.Header
	raw    []byte
	body   map[string]any
}

// send makes one request; headers are name, value, name, value.
func (w *world) send(method, path, body string, headers ...string) reply {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	must(w.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	must(w.t, err)
	if response.Header.Get("Nawhas-Version") != w.version {
		w.t.Errorf("%s %s answered %d without its version", method, path, response.StatusCode)
	}
	r := reply{status: response.StatusCode, closes: response.Close, header: response.Header, raw: raw}
	_ = json.Unmarshal(raw, &r.body)
	return r
}

func (w *world) expect(status int, method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := w.send(method, path, body, headers...)
	if r.status != status {
		w.t.Fatalf("%s %s answered %d, want %d: %s", method, path, r.status, status, r.raw)
	}
	if status >= 400 && !strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") {
		w.t.Errorf("%s %s answered %d as %s", method, path, r.status, r.header.Get("Content-Type"))
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) metrics() string {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.server.MetricsHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

// lockedBuffer is a log that handlers write and tests read.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
