package audit

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

// A reciter with two albums is renamed and deleted; another stays. One edit
// comes after the deletion and one album for a reciter that is gone.
const someLog = `
CREATE TABLE events (position bigint PRIMARY KEY, id uuid, name text, version smallint DEFAULT 1, payload jsonb, recorded_at timestamptz);
INSERT INTO events (position, id, name, payload, recorded_at)
SELECT p, ('00000000-0000-0000-0000-' || lpad(p::text, 12, '0'))::uuid, n, b::jsonb, timestamptz '2026-01-01' + p * interval '1 second' FROM (VALUES
 (1, 'ReciterCreated', '{"id": "a0000000-0000-0000-0000-000000000001", "attributes": {"name": "Nadeem", "description": null, "avatar": null}}'),
 (2, 'ReciterCreated', '{"id": "a0000000-0000-0000-0000-000000000002", "attributes": {"name": "Mesum", "description": "of Karachi"}}'),
 (4, 'AlbumCreated', '{"id": "b0000000-0000-0000-0000-000000000001", "reciterId": "a0000000-0000-0000-0000-000000000001", "attributes": {"title": "One", "year": "2001"}}'),
 (5, 'AlbumCreated', '{"id": "b0000000-0000-0000-0000-000000000002", "reciterId": "a0000000-0000-0000-0000-000000000002", "attributes": {"title": "Two", "year": "2002"}}'),
 (6, 'ReciterModified', '{"id": "a0000000-0000-0000-0000-000000000002", "attributes": {"name": "Mesum Abbas", "description": null}}'),
 (7, 'ReciterDeleted', '{"id": "a0000000-0000-0000-0000-000000000001"}'),
 (8, 'ReciterModified', '{"id": "a0000000-0000-0000-0000-000000000001", "attributes": {"name": "Late"}}'),
 (9, 'AlbumCreated', '{"id": "b0000000-0000-0000-0000-000000000003", "reciterId": "a0000000-0000-0000-0000-000000000001", "attributes": {"title": "Three", "year": "2003"}}'),
 (10, 'AlbumArtworkUploaded', '{"id": "b0000000-0000-0000-0000-000000000002", "path": "two.png"}')) v (p, n, b)`

// What follows from it, written down by hand.
const itsDatabase = `
CREATE TABLE checkpoint (position bigint);
INSERT INTO checkpoint VALUES (10);
CREATE TABLE reciters (id uuid, name text, description text, avatar text);
INSERT INTO reciters VALUES ('a0000000-0000-0000-0000-000000000002', 'Mesum Abbas', NULL, NULL);
CREATE TABLE albums (id uuid, reciter_id uuid, title text, year text, artwork text);
INSERT INTO albums VALUES ('b0000000-0000-0000-0000-000000000002', 'a0000000-0000-0000-0000-000000000002', 'Two', '2002', 'two.png');
CREATE TABLE revisions (entity text, version int, content jsonb, created_at timestamptz);
INSERT INTO revisions SELECT e, v, c::jsonb, timestamptz '2026-01-01' + p * interval '1 second' FROM (VALUES
 ('reciter:a0000000-0000-0000-0000-000000000001', 1, 1, '{}'), ('reciter:a0000000-0000-0000-0000-000000000001', 2, 7, '{"deleted": true}'),
 ('reciter:a0000000-0000-0000-0000-000000000002', 1, 2, '{}'), ('reciter:a0000000-0000-0000-0000-000000000002', 2, 6, '{}'),
 ('album:b0000000-0000-0000-0000-000000000001', 1, 4, '{}'), ('album:b0000000-0000-0000-0000-000000000001', 2, 7, '{"deleted": true}'),
 ('album:b0000000-0000-0000-0000-000000000002', 1, 5, '{}'), ('album:b0000000-0000-0000-0000-000000000002', 2, 10, '{}')) x (e, v, p, c);
CREATE TABLE projected_events (event_id uuid, projector text);
INSERT INTO projected_events
SELECT ('00000000-0000-0000-0000-' || lpad(p::text, 12, '0'))::uuid, projector FROM (VALUES
 (1, 'reciters'), (2, 'reciters'), (6, 'reciters'), (7, 'reciters'), (8, 'reciters'),
 (4, 'albums'), (5, 'albums'), (7, 'albums'), (9, 'albums'), (10, 'albums'),
 (1, 'revisions'), (2, 'revisions'), (4, 'revisions'), (5, 'revisions'), (6, 'revisions'), (7, 'revisions'), (8, 'revisions'), (9, 'revisions'), (10, 'revisions')) x (p, projector)`

func TestARightDatabaseHasNoFindings(t *testing.T) {
	got := auditAfter(t, "SELECT 1")
	if want := (Findings{Events: 9, Reciters: 1, Albums: 1}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestEveryKindOfDamageIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		damage string
		found  func(Findings) bool
	}{
		"an event nobody projected": {"DELETE FROM projected_events WHERE event_id::text LIKE '%5'", func(f Findings) bool { return f.Lost == 2 }},
		"a revision is missing": {"DELETE FROM revisions WHERE entity LIKE 'album%1' AND version = 2",
			func(f Findings) bool { return f.Lost == 1 }},
		"an entity is missing": {"DELETE FROM albums", func(f Findings) bool { return f.Lost == 1 }},
		"an event projected twice": {"INSERT INTO projected_events SELECT * FROM projected_events WHERE projector = 'albums' LIMIT 1",
			func(f Findings) bool { return f.Duplicated == 1 }},
		"a revision too many": {"INSERT INTO revisions SELECT entity, 3, content, created_at FROM revisions WHERE entity LIKE 'reciter%2' AND version = 2",
			func(f Findings) bool { return f.Duplicated == 1 }},
		"an entity too many": {"INSERT INTO reciters VALUES ('a0000000-0000-0000-0000-000000000009', 'Nobody')",
			func(f Findings) bool { return f.Duplicated == 1 && f.Wrong == 1 }},
		"two revisions exchanged": {"UPDATE revisions SET version = 3 - version WHERE entity LIKE 'reciter%2'",
			func(f Findings) bool { return f.Reordered == 2 }},
		"an old name":       {"UPDATE reciters SET name = 'Mesum'", func(f Findings) bool { return f.Wrong == 1 }},
		"a value not null":  {"UPDATE reciters SET description = 'of Karachi'", func(f Findings) bool { return f.Wrong == 1 }},
		"a missed upload":   {"UPDATE albums SET artwork = NULL", func(f Findings) bool { return f.Wrong == 1 }},
		"an old checkpoint": {"UPDATE checkpoint SET position = 9", func(f Findings) bool { return f.Behind == 1 && f.Events == 8 }},
	} {
		t.Run(name, func(t *testing.T) {
			if got := auditAfter(t, test.damage); !test.found(got) {
				t.Fatalf("not found as it should be: %+v", got)
			}
		})
	}
}

func auditAfter(t *testing.T, damage string) Findings {
	t.Helper()
	source, database := server.Database(t), server.Database(t)
	exec(t, source, someLog)
	exec(t, database, itsDatabase)
	exec(t, database, damage)
	findings, err := Run(t.Context(), source, database)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func exec(t *testing.T, url, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}
