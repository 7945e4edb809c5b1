package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	// Each check talks to a server; -rapid.checks asks for more of them.
	_ = flag.Set("rapid.checks", "30")
	os.Exit(pgtest.Run(m, &server))
}

// serial keeps the roles of different tests apart.
var serial atomic.Int64

const release = "default/nawhas"

// holder is the object that the ledger is opened for.
const holder = "uid"

// source is a source database and the account of it that an operator gets
// from a managed Postgres: it owns the database and is no superuser.
type source struct {
	database, account string
}

func newSource(t testing.TB) source {
	t.Helper()
	config, err := pgx.ParseConfig(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	s := source{config.Database, newRole(t)}
	server.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", s.database, s.account))
	return s
}

func newRole(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("role_%d", serial.Add(1))
	server.Exec(t, "postgres", "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	return name
}

func (s source) pool(t testing.TB, account string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), server.URLAs(account, "secret", s.database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// connect opens a connection; without an account it is the superuser's.
func (s source) connect(t testing.TB, account string) *pgx.Conn {
	t.Helper()
	url := server.URL(s.database)
	if account != "" {
		url = server.URLAs(account, "secret", s.database)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s source) open(t testing.TB, name string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), s.pool(t, s.account), name, holder)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// intent is the build of a version, as the operator records it.
func intent(name, version string) *ledger.Version {
	base := "nawhas_v" + strings.ReplaceAll(version, ".", "_")
	return &ledger.Version{Release: name, Version: version, Build: uuid.New(), Database: base, OwnerRole: base + "_owner", AppRole: base + "_app"}
}

func begin(t testing.TB, l *ledger.Ledger, version string) *ledger.Version {
	t.Helper()
	v := intent(l.Release(), version)
	must(t, l.Begin(t.Context(), v))
	return v
}

// know is what the ledger knows of a version, nil when nothing.
func know(t testing.TB, l *ledger.Ledger, version string) *ledger.Version {
	t.Helper()
	versions, err := l.Versions(t.Context())
	must(t, err)
	for _, v := range versions {
		if v.Version == version {
			return v
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is all that the ledger holds, for comparisons.
func (s source) content(t testing.TB) string {
	t.Helper()
	var text string
	err := s.connect(t, "").QueryRow(t.Context(), `SELECT concat_ws(E'\n',
		(SELECT string_agg(r::text, E'\n' ORDER BY r.release) FROM nawhas_ledger.releases r),
		(SELECT string_agg(v::text, E'\n' ORDER BY v.release, v.version) FROM nawhas_ledger.versions v),
		(SELECT string_agg(s::text, E'\n' ORDER BY s.release, s.version, s.name) FROM nawhas_ledger.stages s),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.role) FROM nawhas_ledger.checkpoints c),
		(SELECT string_agg(o::text, E'\n' ORDER BY o.release, o.version, o.number) FROM nawhas_ledger.rounds o),
		(SELECT string_agg(j::text, E'\n' ORDER BY j.seq) FROM nawhas_ledger.journal j))`).Scan(&text)
	must(t, err)
	return text
}

// journal are the transitions of a version, in order.
func (s source) journal(t testing.TB, version string) []string {
	t.Helper()
	rows, err := s.connect(t, "").Query(t.Context(), "SELECT transition FROM nawhas_ledger.journal WHERE version = $1 ORDER BY seq", version)
	must(t, err)
	transitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return transitions
}
