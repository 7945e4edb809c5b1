package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

var roleSerial atomic.Int64

// managed is a source as a managed Postgres gives it: an account without
// superuser owns the database and the log.
type managed struct {
	database string
	account  string
	owner    *pgx.Conn
}

func newManaged(t *testing.T) managed {
	t.Helper()
	config, err := pgx.ParseConfig(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	m := managed{database: config.Database, account: newRole(t)}
	server.Exec(t, m.database, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", m.database, m.account))
	m.owner = m.as(t, m.account)
	if err := events.Init(t.Context(), m.owner); err != nil {
		t.Fatal(err)
	}
	return m
}

func newRole(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("rights_%d", roleSerial.Add(1))
	server.Exec(t, "postgres", "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	return name
}

func (m managed) as(t *testing.T, role string) *pgx.Conn {
	t.Helper()
	return connect(t, server.URLAs(role, "secret", m.database))
}

// writer is a role that may append.
func (m managed) writer(t *testing.T) (string, *pgx.Conn) {
	t.Helper()
	role := newRole(t)
	grant(t, m, role, events.AllowReading)
	grant(t, m, role, events.AllowAppending)
	return role, m.as(t, role)
}

func grant(t *testing.T, m managed, role string, allow func(ctx context.Context, db eventlog.DB, role string) error) {
	t.Helper()
	for range 2 {
		if err := allow(t.Context(), m.owner, role); err != nil {
			t.Fatal(err)
		}
	}
}

func (m managed) appenders(t *testing.T, roles ...string) []string {
	t.Helper()
	found, err := events.Appenders(t.Context(), m.owner, roles)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func refused(t *testing.T, db eventlog.DB, sql string) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
		t.Errorf("%s: %v; want it refused for want of rights", sql, err)
	}
}

func TestReadersReadAndDoNothingElse(t *testing.T) {
	m := newManaged(t)
	role := newRole(t)
	conn := m.as(t, role)
	if reason, _ := eventlog.IsPrecondition(events.Check(t.Context(), conn)); reason != eventlog.ReasonRights {
		t.Fatalf("a stranger may read the log: %s", reason)
	}
	grant(t, m, role, events.AllowReading)
	if err := events.Check(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if _, err := events.Watermark(t.Context(), conn); err != nil {
		t.Error(err)
	}
	if _, err := events.Append(t.Context(), conn, newEvent(1)); !isRights(err) {
		t.Errorf("a reader appends: %v", err)
	}
	refused(t, conn, "SELECT nextval('events_position_seq')")
	refused(t, conn, "SELECT setval('events_position_seq', 1000)")
	if found := m.appenders(t, role); len(found) != 0 {
		t.Errorf("%v may append", found)
	}
}

// Where not everybody may connect, readers are let in one by one.
func TestReadersMayConnect(t *testing.T) {
	m := newManaged(t)
	execute(t, m.owner, "REVOKE CONNECT ON DATABASE "+m.database+" FROM PUBLIC")
	role := newRole(t)
	grant(t, m, role, events.AllowReading)
	if err := events.Check(t.Context(), m.as(t, role)); err != nil {
		t.Error(err)
	}
}

func TestWhoCannotLetReadersConnectIsTold(t *testing.T) {
	m := newManaged(t)
	server.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s OWNER TO postgres", m.database),
		fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC", m.database), fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %q", m.database, m.account))
	role := newRole(t)
	err := events.AllowReading(t.Context(), m.owner, role)
	if reason, ok := eventlog.IsPrecondition(err); !ok || reason != eventlog.ReasonRights || !strings.Contains(err.Error(), "WITH GRANT OPTION") {
		t.Fatalf("it says %v", err)
	}
	server.Exec(t, "postgres", fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %q WITH GRANT OPTION", m.database, m.account))
	grant(t, m, role, events.AllowReading)
	if err := events.Check(t.Context(), m.as(t, role)); err != nil {
		t.Error(err)
	}
}

func TestReadingInASchemaOfItsOwn(t *testing.T) {
	m := newManaged(t)
	execute(t, m.owner, "CREATE SCHEMA app")
	table := eventlog.DefaultTable()
	table.Schema = "app"
	elsewhere := eventlog.New(table)
	if err := elsewhere.Init(t.Context(), m.owner); err != nil {
		t.Fatal(err)
	}
	role := newRole(t)
	grant(t, m, role, elsewhere.AllowReading)
	grant(t, m, role, elsewhere.AllowAppending)
	conn := m.as(t, role)
	if err := elsewhere.Check(t.Context(), conn); err != nil {
		t.Error(err)
	}
	if _, err := elsewhere.Append(t.Context(), conn, newEvent(1)); err != nil {
		t.Error(err)
	}
}

func TestAppendersChooseNeitherPositionNorTime(t *testing.T) {
	m := newManaged(t)
	_, conn := m.writer(t)
	if err := events.CheckAppend(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	add(t, conn, newEvent(1))
	add(t, conn, newEvent(2), newEvent(3))

	const columns, values = "id, name, version, payload", "gen_random_uuid(), 'Forged', 1, '{}'"
	for _, statement := range []string{
		"INSERT INTO events (" + columns + ", position) OVERRIDING SYSTEM VALUE VALUES (" + values + ", 1000)",
		"INSERT INTO events (" + columns + ", position) OVERRIDING USER VALUE VALUES (" + values + ", 1000)",
		"INSERT INTO events (" + columns + ", recorded_at) VALUES (" + values + ", '2001-01-01')",
		"INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM events",
		"SELECT nextval('events_position_seq')",
		"SELECT setval('events_position_seq', 1000)",
		"UPDATE events SET name = 'Forged'",
		"DELETE FROM events",
		"TRUNCATE events",
		"DO $$ BEGIN LOCK TABLE events IN ROW EXCLUSIVE MODE; END $$",
		"DO $$ BEGIN LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE; END $$",
		"ALTER TABLE events ADD COLUMN mine int",
		"DROP TABLE events",
		"GRANT INSERT ON events TO PUBLIC",
	} {
		refusedOrVoid(t, conn, statement)
	}
	if got, want := logged(t, conn), []int64{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("the log holds %v; want %v", got, want)
	}
}

// refusedOrVoid also takes a GRANT that gave nothing, which is a warning.
func refusedOrVoid(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if !strings.HasPrefix(statement, "GRANT") {
		refused(t, conn, statement)
		return
	}
	_, _ = conn.Exec(t.Context(), statement)
	var everybody bool
	if err := conn.QueryRow(t.Context(), "SELECT has_any_column_privilege('public', 'events', 'INSERT')").Scan(&everybody); err != nil || everybody {
		t.Errorf("%s: %v, %v", statement, everybody, err)
	}
}

func TestForbiddenRolesAppendNoMore(t *testing.T) {
	m := newManaged(t)
	role, conn := m.writer(t)
	running := m.as(t, role)
	execute(t, running, "BEGIN")
	add(t, running, newEvent(1))
	if found := m.appenders(t, role, "missing"); !slices.Equal(found, []string{role}) {
		t.Fatalf("%v may append; want %s", found, role)
	}
	for range 2 {
		if err := events.ForbidAppending(t.Context(), m.owner, role); err != nil {
			t.Fatal(err)
		}
	}
	if found := m.appenders(t, role); len(found) != 0 {
		t.Fatalf("%v may append", found)
	}
	if _, err := events.Append(t.Context(), conn, newEvent(2)); !isRights(err) {
		t.Errorf("a forbidden role appends: %v", err)
	}
	if got := logged(t, conn); len(got) != 0 {
		t.Errorf("it reads %v; want an empty log", got)
	}

	execute(t, running, "COMMIT") // what had appended before goes on
	if got := logged(t, conn); len(got) != 1 {
		t.Errorf("it reads %v; want one event", got)
	}
	grant(t, m, role, events.AllowAppending)
	add(t, conn, newEvent(3))
}

func TestASecondGrantorsGrantSurvivesAndShows(t *testing.T) {
	for _, columns := range []string{"", " (id, name, version, payload)", " (id)"} {
		t.Run("INSERT"+columns, func(t *testing.T) {
			m := newManaged(t)
			role, _ := m.writer(t)
			second := newRole(t)
			execute(t, m.owner, fmt.Sprintf("GRANT INSERT%s ON events TO %s WITH GRANT OPTION", columns, second))
			execute(t, m.as(t, second), fmt.Sprintf("GRANT INSERT%s ON events TO %s", columns, role))
			if err := events.ForbidAppending(t.Context(), m.owner, role); err != nil {
				t.Fatal(err)
			}
			if found := m.appenders(t, role, second); !slices.Equal(found, sorted(role, second)) {
				t.Fatalf("%v may append; want both", found)
			}
			execute(t, m.as(t, second), fmt.Sprintf("REVOKE INSERT%s ON events FROM %s", columns, role))
			if found := m.appenders(t, role); len(found) != 0 {
				t.Fatalf("%v may append", found)
			}
		})
	}
}

func TestMembersOfAnAppenderShow(t *testing.T) {
	m := newManaged(t)
	team, inheriting, switching, indirect, free := newRole(t), newRole(t), newRole(t), newRole(t), newRole(t)
	grant(t, m, team, events.AllowAppending)
	server.Exec(t, "postgres", fmt.Sprintf("ALTER ROLE %s NOINHERIT", switching),
		fmt.Sprintf("GRANT %s TO %s, %s", team, inheriting, switching), fmt.Sprintf("GRANT %s TO %s", switching, indirect))
	all := []string{team, inheriting, switching, indirect, free}
	if found := m.appenders(t, all...); !slices.Equal(found, sorted(team, inheriting, switching, indirect)) {
		t.Fatalf("%v may append; want all but %s", found, free)
	}
	conn := m.as(t, switching)
	execute(t, conn, "SET ROLE "+team)
	execute(t, conn, "INSERT INTO events (id, name, version, payload) VALUES (gen_random_uuid(), 'Counted', 1, '{}')")

	if err := events.ForbidAppending(t.Context(), m.owner, team); err != nil {
		t.Fatal(err)
	}
	if found := m.appenders(t, all...); len(found) != 0 {
		t.Errorf("%v may append", found)
	}
}

func TestEverybodysGrantAndSuperusersShow(t *testing.T) {
	m := newManaged(t)
	role := newRole(t)
	execute(t, m.owner, "GRANT INSERT (name) ON events TO PUBLIC")
	if found := m.appenders(t, role, m.account, "postgres"); !slices.Equal(found, sorted(role, m.account, "postgres")) {
		t.Errorf("%v may append; want all", found)
	}
	execute(t, m.owner, "REVOKE INSERT (name) ON events FROM PUBLIC")
	if found := m.appenders(t, role, m.account, "postgres"); !slices.Equal(found, sorted(m.account, "postgres")) {
		t.Errorf("%v may append; want the owner and the superuser", found)
	}
}

func isRights(err error) bool {
	reason, ok := eventlog.IsPrecondition(err)
	return ok && reason == eventlog.ReasonRights
}

func sorted(names ...string) []string {
	slices.Sort(names)
	return names
}
