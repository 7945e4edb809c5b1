//go:build laravel

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

// The stand-in is worth something only if it behaves as the stock application
// does: each test is a fact of that one.

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

const root = "../../.."

// app is the application with its two connections and the queue.
type app struct {
	t                   *testing.T
	folder              string
	env                 []string
	events, data, queue *pgx.Conn
}

func newApp(t *testing.T, version string) *app {
	t.Helper()
	a := &app{t: t, folder: t.TempDir()}
	if err := os.CopyFS(a.folder, os.DirFS("../app")); err != nil {
		t.Fatal(err)
	}
	a.must(os.WriteFile(filepath.Join(a.folder, "VERSION"), []byte(version+"\n"), 0o600))
	a.events, a.data, a.queue = a.database("EVENTS_DB_"), a.database("DATA_DB_"), a.database("QUEUE_DB_")
	for _, command := range []string{"migrate:events", "migrate:data"} {
		if out, code := a.artisan(nil, command); code != 0 {
			t.Fatalf("%s: %s", command, out)
		}
	}
	a.execute(a.queue, "CREATE TABLE jobs (id bigserial PRIMARY KEY, queue text NOT NULL, event bigint NOT NULL, reserved_at timestamptz)")
	return a
}

func (a *app) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *app) database(prefix string) *pgx.Conn {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), server.Database(a.t))
	a.must(err)
	a.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	c := conn.Config()
	a.env = append(a.env, prefix+"HOST="+c.Host, prefix+"PORT="+strings.TrimPrefix(portOf(c), ":"), prefix+"DATABASE="+c.Database, prefix+"USERNAME="+c.User, prefix+"PASSWORD="+c.Password)
	return conn
}

func portOf(c *pgx.ConnConfig) string {
	text, _ := json.Marshal(c.Port)
	return string(text)
}

func (a *app) execute(conn *pgx.Conn, sql string, args ...any) {
	a.t.Helper()
	_, err := conn.Exec(a.t.Context(), sql, args...)
	a.must(err)
}

func (a *app) count(conn *pgx.Conn, sql string) (n int) {
	a.t.Helper()
	a.must(conn.QueryRow(a.t.Context(), sql).Scan(&n))
	return n
}

// artisan runs a command as the image does.
func (a *app) artisan(env []string, args ...string) (out string, code int) {
	a.t.Helper()
	php, err := filepath.Abs(filepath.Join(root, "bin", "laravel", "php"))
	a.must(err)
	libraries := filepath.Join(php, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(php, "lib/x86_64-linux-gnu")
	cmd := exec.CommandContext(a.t.Context(), filepath.Join(php, "usr/bin/php"), append([]string{"-d", "extension_dir=" + filepath.Join(php, "usr/lib/php/20220829"), "artisan"}, args...)...)
	cmd.Dir = a.folder
	cmd.Env = append(append([]string{"LD_LIBRARY_PATH=" + libraries, "PHP_INI_SCAN_DIR=" + filepath.Join(php, "etc/php/stand-in")}, a.env...), env...)
	text, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		a.t.Fatalf("run artisan (make laravel-images unpacks PHP): %v", err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (a *app) replays(args ...string) {
	a.t.Helper()
	if out, code := a.artisan(nil, append([]string{"event-sourcing:replay", "-n"}, args...)...); code != 0 {
		a.t.Fatalf("the replay ended with %d: %s", code, out)
	}
}

func (a *app) holdsTheLog() {
	a.t.Helper()
	found, err := compare(a.t.Context(), a.events, a.data.Config().ConnString())
	a.must(err)
	if found.lost+found.duplicated+found.reordered+found.wrong > 0 || found.events == 0 {
		a.t.Errorf("the database differs from the log: %+v", found)
	}
}

func TestAReplayGoesThroughAllPages(t *testing.T) {
	a := newApp(t, "7.2.2")
	a.execute(a.events, seed, 2500)
	a.replays()
	a.holdsTheLog()
	if n := a.count(a.data, "SELECT count(*) FROM reciters WHERE sort_name = lower(name)"); n != 125 {
		t.Errorf("%d reciters", n)
	}
	a.replays() // from 0 it begins anew
	a.holdsTheLog()
}

func TestAReplayFromALaterEventTakesNothingAway(t *testing.T) {
	a := newApp(t, "7.2.1")
	a.execute(a.events, seed, 200)
	a.replays()
	a.execute(a.events, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at)
		SELECT 'reciter.viewed', json_build_object('id', md5('reciter1')::uuid, 'visited_at', '2024-04-06T12:00:00.123456Z'), '[]', now() FROM generate_series(1, 3)`)
	a.replays("--from=201")
	a.holdsTheLog()
	if out, code := a.artisan(nil, "event-sourcing:replay", "-n", "--from=500"); code != 0 || !strings.Contains(out, "no events") {
		t.Errorf("with nothing to replay it ends with %d: %s", code, out)
	}
	a.holdsTheLog()
	if out, code := a.artisan(nil, "event-sourcing:replay", "-n", "--from=1"); code != 1 || !strings.Contains(out, "Unique violation") {
		t.Errorf("events applied twice end with %d: %s", code, out)
	}
}

func TestAReplayDiesOfPoisonAndKeepsHalf(t *testing.T) {
	for name, event := range map[string]string{
		"an entity that is not there": `('reciter.changed.name', '{"id":"a8afb8ca-b9c9-11ea-aa22-3a3d4d50f449","name":"x"}')`,
		"a key that is missing":       `('reciter.created', '{"id":"a8afb8ca-b9c9-11ea-aa22-3a3d4d50f449"}')`,
		"an alias that is unknown":    `('reciter.merged', '{}')`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, "7.2.1")
			a.execute(a.events, seed, 100)
			a.execute(a.events, "INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) SELECT c, p::json, '[]', now() FROM (VALUES "+event+") AS e(c, p)")
			if out, code := a.artisan(nil, "event-sourcing:replay", "-n"); code != 1 {
				t.Errorf("it ended with %d: %s", code, out)
			}
			if n := a.count(a.data, "SELECT count(*) FROM reciters"); n != 5 {
				t.Errorf("it left %d reciters", n)
			}
		})
	}
	a := newApp(t, "7.2.1")
	a.execute(a.events, `INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) VALUES ('reciter.deleted', '{"id":"a8afb8ca-b9c9-11ea-aa22-3a3d4d50f449"}', '[]', now())`)
	if out, code := a.artisan([]string{"EVENT_PROJECTOR_CATCH_EXCEPTIONS=true"}, "event-sourcing:replay", "-n"); code != 0 {
		t.Errorf("one that catches exceptions ended with %d: %s", code, out)
	}
}

// Every payload that was taken from the application's own classes is understood.
func TestThePayloadsOfTheApplicationAreUnderstood(t *testing.T) {
	content, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var known struct {
		Payloads []struct {
			Class string `json:"event_class"`
			Text  string `json:"event_properties_text"`
		}
		Slugs []struct{ In, Slug string }
	}
	if err := json.Unmarshal(content, &known); err != nil {
		t.Fatal(err)
	}
	a := newApp(t, "7.2.1")
	for _, p := range known.Payloads {
		a.execute(a.events, "INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) VALUES ($1, $2::text::json, '[]', now())", p.Class, p.Text)
	}
	const read = "foreach (StandIn\\Database::events()->all('select * from stored_events order by id') as $row) { StandIn\\StoredEvent::of($row); }"
	if out, code := a.artisan(nil, "tinker", "--execute="+read); code != 0 || len(known.Payloads) == 0 {
		t.Errorf("%d payloads: %s", len(known.Payloads), out)
	}
	for _, s := range known.Slugs {
		if strings.ContainsAny(s.In, "हसनḤ") {
			continue
		}
		out, code := a.artisan(nil, "tinker", "--execute=echo StandIn\\Slug::of("+phpString(s.In)+");")
		if code != 0 || out != s.Slug {
			t.Errorf("the slug of %q is %q, not %q", s.In, out, s.Slug)
		}
	}
}

func phpString(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func TestTheConnectionSetsItsSearchPath(t *testing.T) {
	a := newApp(t, "7.2.1")
	a.execute(a.events, "CREATE SCHEMA shadow; CREATE TABLE shadow.stored_events (LIKE public.stored_events)")
	a.execute(a.events, seed, 100)
	a.execute(a.events, "ALTER DATABASE "+a.events.Config().Database+" SET search_path = shadow, public")
	a.replays()
	a.holdsTheLog()
}

func TestADatabaseURLOverridesAllElse(t *testing.T) {
	a := newApp(t, "7.2.1")
	a.execute(a.events, seed, 100)
	elsewhere := a.data.Config()
	out, code := a.artisan([]string{"DATABASE_URL=postgres://" + elsewhere.User + ":x@" + elsewhere.Host + ":" + portOf(elsewhere) + "/" + elsewhere.Database}, "event-sourcing:replay", "-n")
	if code != 1 || !strings.Contains(out, "stored_events") {
		t.Errorf("it ended with %d: %s", code, out)
	}
	a.env = append(a.env, "DATABASE_URL=")
	a.replays()
	a.holdsTheLog()
}
