package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

const password = "test-only"

// release is a version with the roles and rights that the operator gives one.
type release struct {
	source, database string // names
	owner, app       string // roles
	build            uuid.UUID
	log              *eventlog.Log
	admin            *pgx.Conn
}

func newRelease(t *testing.T) *release {
	t.Helper()
	suffix := strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	r := &release{source: database(postgres.Database(t)), database: database(postgres.Database(t)),
		owner: "owner_" + suffix, app: "app_" + suffix, build: uuid.New(), log: eventlog.New(eventlog.DefaultTable())}
	for _, role := range []string{r.owner, r.app} {
		postgres.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password),
			fmt.Sprintf("ALTER ROLE %s SET idle_in_transaction_session_timeout = '60s'", role))
	}
	postgres.Exec(t, r.database, "REVOKE ALL ON DATABASE "+r.database+" FROM PUBLIC",
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s, %s", r.database, r.owner, r.app),
		"GRANT USAGE, CREATE ON SCHEMA public TO "+r.owner, "GRANT USAGE ON SCHEMA public TO "+r.app,
		fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT SELECT ON TABLES TO %s", r.owner, r.app))
	var err error
	r.admin, err = pgx.Connect(t.Context(), postgres.URL(r.source))
	check(t, err)
	t.Cleanup(func() { closing(r.admin) })
	check(t, r.log.Init(t.Context(), r.admin))
	for _, role := range []string{r.owner, r.app} {
		check(t, r.log.AllowReading(t.Context(), r.admin, role))
	}
	r.openLedger(t)
	return r
}

func (r *release) openLedger(t *testing.T) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), postgres.URL(r.source))
	check(t, err)
	t.Cleanup(pool.Close)
	l, err := ledger.Open(t.Context(), pool, "default/nawhas", "uid")
	check(t, err)
	check(t, l.Begin(t.Context(), &ledger.Version{Release: "default/nawhas", Version: "3.1.2", Build: r.build, Database: r.database,
		OwnerRole: r.owner, AppRole: r.app}))
	check(t, l.AllowReporting(t.Context(), r.owner))
}

// as are the flags of a command that runs as one of the roles.
func (r *release) as(role string, args ...string) []string {
	return append(args, "--source-url", postgres.URLAs(role, password, r.source), "--database-url", postgres.URLAs(role, password, r.database))
}

func (r *release) reported(t *testing.T) (position int64, stage string, evidence *verify.Evidence) {
	t.Helper()
	var raw []byte
	check(t, r.admin.QueryRow(t.Context(), "SELECT position, stage, evidence FROM nawhas_ledger.checkpoints WHERE role = $1", r.owner).
		Scan(&position, &stage, &raw))
	if raw != nil {
		check(t, json.Unmarshal(raw, &evidence))
	}
	return position, stage, evidence
}

// background runs a command until the returned function is called.
func background(t *testing.T, args []string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := nawhasUntil(ctx, t, args...)
		ended <- err
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("nawhas %s ended with %v", args[0], err)
		}
	}
}

func TestAVersionServesWithTheRolesOfARelease(t *testing.T) {
	r := newRelease(t)
	t.Setenv("NAWHAS_BUILD", r.build.String())
	succeed(t, "generate", "--events", "400", "--source-url", postgres.URL(r.source))
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	if position, stage, _ := r.reported(t); position != 400 || stage != "complete" {
		t.Errorf("the replay reported position %d, stage %q", position, stage)
	}
	succeed(t, r.as(r.owner, "verify")...)
	if _, _, evidence := r.reported(t); evidence == nil || !evidence.Passed || evidence.Position != 400 || evidence.Build != r.build.String() {
		t.Errorf("the ledger's evidence is %+v", evidence)
	}

	address := freeAddress(t)
	stopFollow := background(t, r.as(r.owner, "follow"))
	defer stopFollow()
	stopServe := background(t, r.as(r.app, "serve", "--listen", address, "--metrics-listen", "", "--uploads-url", "mem://", "--read-wait", "10s"))
	defer stopServe()
	api := client{t: t, base: "http://" + address}
	api.untilReady()

	if status, _, _ := api.send("POST", "/v1/reciters", `{"name": "Preview"}`, 0); status != http.StatusServiceUnavailable {
		t.Errorf("a version that may not write answered %d", status)
	}
	check(t, r.log.AllowAppending(t.Context(), r.admin, r.app))
	status, created, position := api.send("POST", "/v1/reciters", `{"name": "Nadeem Sarwar"}`, 0)
	if status != http.StatusCreated {
		t.Fatalf("creating a reciter answered %d: %v", status, created)
	}
	_, album, position := api.send("POST", "/v1/reciters/"+created["id"].(string)+"/albums", `{"title": "New", "year": "2020"}`, position)
	status, read, _ := api.send("GET", "/v1/reciters/"+created["id"].(string)+"/albums/"+album["id"].(string), "", position)
	if status != http.StatusOK || read["title"] != "New" {
		t.Errorf("reading what was written answered %d: %v", status, read)
	}
	check(t, r.log.ForbidAppending(t.Context(), r.admin, r.app))
	if status, _, _ := api.send("DELETE", "/v1/reciters/"+created["id"].(string), "", 0); status != http.StatusServiceUnavailable {
		t.Errorf("a fenced version answered %d", status)
	}
}

type client struct {
	t    *testing.T
	base string
}

func (c client) untilReady() {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(c.base + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the server is not ready: %v", err)
		}
	}
}

func (c client) send(method, path, body string, after int64) (status int, answer map[string]any, position int64) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	check(c.t, err)
	if after > 0 {
		request.Header.Set("Nawhas-Position", fmt.Sprint(after))
	}
	response, err := http.DefaultClient.Do(request)
	check(c.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	check(c.t, err)
	_ = json.Unmarshal(raw, &answer)
	_, _ = fmt.Sscan(response.Header.Get("Nawhas-Position"), &position)
	return response.StatusCode, answer, position
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func database(connection string) string {
	parsed, _ := url.Parse(connection)
	return strings.TrimPrefix(parsed.Path, "/")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// problem is what the version's process reported last, nil for nothing.
func (r *release) problem(t *testing.T) *ledger.Problem {
	t.Helper()
	var found *ledger.Problem
	check(t, r.admin.QueryRow(t.Context(), "SELECT problem FROM nawhas_ledger.checkpoints WHERE role = $1", r.owner).Scan(&found))
	return found
}

func TestAFollowerMeetsEventsOfANewerVersion(t *testing.T) {
	r := newRelease(t)
	succeed(t, "generate", "--events", "20", "--source-url", postgres.URL(r.source))
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	_, err := r.admin.Exec(t.Context(), "INSERT INTO events (id, name, version, payload) VALUES (gen_random_uuid(), 'ReciterMerged', 2, '{}')")
	check(t, err)
	succeed(t, "generate", "--events", "5", "--seed", "9", "--source-url", postgres.URL(r.source))

	if _, err := nawhas(t, r.as(r.owner, "follow", "--until", "26")...); exitCode(err) != exitPoison {
		t.Fatalf("follow ended with %v", err)
	}
	if p := r.problem(t); p == nil || p.Kind != ledger.KindUnknown || p.Position != 21 || p.Name != "ReciterMerged" || p.Version != 2 {
		t.Errorf("the ledger says %+v", p)
	}

	t.Setenv("NAWHAS_UNKNOWN_EVENTS", "Skip")
	succeed(t, r.as(r.owner, "follow", "--until", "26")...)
	if p := r.problem(t); p != nil {
		t.Errorf("the ledger still says %+v", p)
	}
	conn, err := pgx.Connect(t.Context(), postgres.URL(r.database))
	check(t, err)
	defer closing(conn)
	var recorded string
	check(t, conn.QueryRow(t.Context(), "SELECT string_agg(position || ' ' || name || ' ' || version, ', ') FROM skipped_events").Scan(&recorded))
	if recorded != "21 ReciterMerged 2" {
		t.Errorf("it recorded %q", recorded)
	}
	t.Setenv("NAWHAS_UNKNOWN_EVENTS", "Perhaps")
	if _, err := nawhas(t, r.as(r.owner, "follow")...); exitCode(err) != exitUsage {
		t.Errorf("an unknown policy ended with %v", err)
	}
}

func TestAFollowerFindsThatItsLogWasReplaced(t *testing.T) {
	r := newRelease(t)
	succeed(t, "generate", "--events", "20", "--source-url", postgres.URL(r.source))
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	_, err := r.admin.Exec(t.Context(), "UPDATE events SET id = gen_random_uuid() WHERE position = 18")
	check(t, err)

	if _, err := nawhas(t, r.as(r.owner, "follow", "--until", "20")...); err == nil {
		t.Fatal("it follows another log")
	}

	if p := r.problem(t); p == nil || p.Kind != ledger.KindDiverged || p.Position != 18 {
		t.Errorf("the ledger says %+v", p)
	}
	if position, stage, _ := r.reported(t); position != 20 || stage != "complete" {
		t.Errorf("its progress is now position %d, stage %q", position, stage)
	}
}
