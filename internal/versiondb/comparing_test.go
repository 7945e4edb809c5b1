package versiondb_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// The right to read another version's database is given and taken by the
// account that owns the databases, and does not keep the reader's role from
// being dropped afterwards.
func TestAVersionMayReadAnotherWhileTheyAreCompared(t *testing.T) {
	o := newOperator(t, server, server)
	live, liveOwner, _ := o.build(t)
	execute(t, liveOwner.connect(t, live.Names.Database), "CREATE TABLE reciters (n int)")
	candidate, reader, _ := o.build(t)
	for range 2 {
		if err := o.at(t).AllowComparing(t.Context(), live.Names.Database, reader.name); err != nil {
			t.Fatal(err)
		}
	}
	conn := reader.connect(t, live.Names.Database)
	execute(t, conn, "SELECT * FROM reciters")
	for _, statement := range []string{"INSERT INTO reciters VALUES (1)", "DELETE FROM reciters", "DROP TABLE reciters", "CREATE TABLE mine ()"} {
		refused(t, conn, statement)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	others := []string{live.Names.Database, "nowhere"}
	for range 2 {
		if err := o.at(t).ForbidComparing(t.Context(), o.onDatabases(t), others, reader.name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pgx.Connect(t.Context(), server.URLAs(reader.name, reader.password, live.Names.Database)); !isRefusal(err) {
		t.Errorf("the reader still connects: %v", err)
	}
	execute(t, liveOwner.connect(t, live.Names.Database), "SELECT * FROM reciters")
	if err := o.at(t).Retire(t.Context(), o.onDatabases(t), candidate); err != nil {
		t.Fatal(err)
	}
	if gone, err := versiondb.DropRole(t.Context(), o.onDatabases(t), reader.name, candidate.Stamp); !gone || err != nil {
		t.Errorf("the reader's role is kept: %v", err)
	}
	if err := o.at(t).ForbidComparing(t.Context(), o.onDatabases(t), others, reader.name); err != nil {
		t.Errorf("of a role that is gone: %v", err)
	}
}
