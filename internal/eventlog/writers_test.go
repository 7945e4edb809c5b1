package eventlog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// writersOf asks as the log's owner, and leaves out the superusers.
func writersOf(t *testing.T, m managed) map[string]string {
	t.Helper()
	found, err := events.Writers(t.Context(), m.owner)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found.Superusers, "postgres") || !slices.Contains(found.Owners, m.account) {
		t.Errorf("owners are %v and superusers %v", found.Owners, found.Superusers)
	}
	all := map[string]string{}
	for _, w := range found.Granted {
		all[w.Role] = w.String()
	}
	return all
}

func TestEveryWayToAppendHasAName(t *testing.T) {
	m := newManaged(t)
	if found := writersOf(t, m); len(found) != 0 {
		t.Fatalf("a new log has the writers %v", found)
	}
	ours, _ := m.writer(t)
	foreign, group, member, everywhere, reader, coowner := newRole(t), newRole(t), newRole(t), newRole(t), newRole(t), newRole(t)
	server.Exec(t, m.database,
		"GRANT INSERT (id, name, payload) ON events TO "+ours+" WITH GRANT OPTION",
		"SET ROLE "+ours+"; GRANT INSERT (id, name, payload) ON events TO "+foreign+"; RESET ROLE",
		"ALTER ROLE "+group+" NOLOGIN", "GRANT INSERT ON events TO "+group, "GRANT "+group+" TO "+member, "ALTER ROLE "+member+" NOINHERIT",
		"GRANT pg_write_all_data TO "+everywhere, "GRANT SELECT ON events TO "+reader, "GRANT "+m.account+" TO "+coowner)

	found := writersOf(t, m)

	for role, says := range map[string]string{
		ours: "granted by " + m.account, foreign: "granted by " + ours, member: "as a member of " + group, everywhere: "pg_write_all_data",
	} {
		if !strings.Contains(found[role], says) {
			t.Errorf("of %s it says %q, not %q", role, found[role], says)
		}
		delete(found, role)
	}
	if len(found) != 0 {
		t.Errorf("these are told of too: %v", found)
	}
	server.Exec(t, m.database, "GRANT INSERT ON events TO PUBLIC")
	if all := writersOf(t, m); !strings.Contains(all[eventlog.Public], "granted by "+m.account) || all[reader] != "" {
		t.Errorf("when everybody may append it says %v", all)
	}
}

func TestExcludedWritersWaitAndThenFindTheirRightTaken(t *testing.T) {
	m := newManaged(t)
	old, oldConn := m.writer(t)
	next, nextConn := m.writer(t)
	add(t, oldConn, newEvent(1))
	server.Exec(t, m.database, "REVOKE INSERT ON events FROM "+next)
	tx, err := m.owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := events.Exclude(t.Context(), tx, 1e9, 60e9)
	if err != nil || head != 1 {
		t.Fatalf("the head is %d, %v", head, err)
	}
	refused, accepted := make(chan error, 1), make(chan error, 1)
	go func() { _, err := events.Append(t.Context(), oldConn, newEvent(2)); refused <- err }()
	go func() { _, err := events.Append(t.Context(), nextConn, newEvent(3)); accepted <- err }()
	untilBlocked(t, m, 2)
	if reader := logged(t, connect(t, server.URL(m.database))); len(reader) != 1 {
		t.Errorf("a reader sees %v", reader)
	}

	if err := events.ForbidAppending(t.Context(), tx, old); err != nil {
		t.Fatal(err)
	}
	if err := events.AllowAppending(t.Context(), tx, next); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}

	if reason, ok := eventlog.IsPrecondition(<-refused); !ok || reason != eventlog.ReasonRights {
		t.Errorf("the old writer is told %q", reason)
	}
	if err := <-accepted; err != nil {
		t.Errorf("the new writer is told %v", err)
	}
}

func TestAWriterThatDoesNotEndIsNotWaitedForLong(t *testing.T) {
	m := newManaged(t)
	_, conn := m.writer(t)
	slow, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(t, slow, newEvent(1))
	err = pgx.BeginFunc(t.Context(), m.owner, func(tx pgx.Tx) error {
		_, err := events.Exclude(t.Context(), tx, 20e6, 60e9)
		return err
	})
	if !strings.Contains(err.Error(), eventlog.ErrWritersBusy.Error()) {
		t.Fatalf("got %v", err)
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Errorf("the writer was hurt: %v", err)
	}
}

// untilBlocked waits until that many writers wait for the log.
func untilBlocked(t *testing.T, m managed, n int) {
	t.Helper()
	conn := connect(t, server.URL(m.database))
	for {
		var waiting int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting == n {
			return
		}
	}
}

// A login that becomes the role which may append is that role, and no other writer.
func TestALoginIsNoWriterBesideItsRole(t *testing.T) {
	m := newManaged(t)
	role, _ := m.writer(t)
	login := newRole(t)
	server.Exec(t, m.database, "GRANT "+role+" TO "+login, "ALTER ROLE "+login+" LOGIN PASSWORD 'secret'")
	if found := writersOf(t, m); !strings.Contains(found[login], "as a member of "+role) {
		t.Fatalf("before it is a login it says %v", found)
	}
	server.Exec(t, m.database, "ALTER ROLE "+login+" SET role = "+role)

	if found := writersOf(t, m); found[login] != "" || found[role] == "" {
		t.Errorf("it says %v", found)
	}
	conn, err := pgx.Connect(t.Context(), server.URLAs(login, "secret", m.database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO events (id, name, payload) VALUES (gen_random_uuid(), 'a', '{}')"); err != nil {
		t.Fatal(err)
	}
	if holders, err := events.HoldersOf(t.Context(), m.owner, role); err != nil || len(holders) != 1 {
		t.Errorf("the holders of %s are %v, %v", role, holders, err)
	}
	server.Exec(t, m.database, "GRANT INSERT ON events TO "+login)
	if found := writersOf(t, m); found[login] == "" {
		t.Errorf("with a right of its own it is no writer: %v", found)
	}
}
