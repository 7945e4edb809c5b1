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
CREATE TABLE reciters (id uuid, name text, slug text, description text, avatar text, revision int, created_at timestamptz, updated_at timestamptz);
INSERT INTO reciters VALUES ('a0000000-0000-0000-0000-000000000002', 'Mesum Abbas', 'mesum-abbas', NULL, NULL, 2, '2026-01-01 00:00:02', '2026-01-01 00:00:06');
CREATE TABLE albums (id uuid, reciter_id uuid, title text, year text, artwork text, revision int, created_at timestamptz, updated_at timestamptz);
INSERT INTO albums VALUES ('b0000000-0000-0000-0000-000000000002', 'a0000000-0000-0000-0000-000000000002', 'Two', '2002', 'two.png', 2, '2026-01-01 00:00:05', '2026-01-01 00:00:10');
CREATE TABLE tombstones (id uuid, deleted_at timestamptz);
INSERT INTO tombstones VALUES ('a0000000-0000-0000-0000-000000000001', '2026-01-01 00:00:07'), ('b0000000-0000-0000-0000-000000000001', '2026-01-01 00:00:07');
CREATE TABLE revisions (entity text, version int, content jsonb, created_at timestamptz);
INSERT INTO revisions SELECT kind || ':' || id, v, jsonb_build_object('id', id, 'created_at', timestamptz '2026-01-01' + born * interval '1 second',
 'updated_at', timestamptz '2026-01-01' + updated * interval '1 second') || c::jsonb, timestamptz '2026-01-01' + p * interval '1 second' FROM (VALUES
 ('reciter', 'a0000000-0000-0000-0000-000000000001', 1, 1, 1, 1, '{"name": "Nadeem", "slug": "nadeem", "description": null, "avatar": null}'),
 ('reciter', 'a0000000-0000-0000-0000-000000000001', 2, 1, 1, 7, '{"name": "Nadeem", "slug": "nadeem", "description": null, "avatar": null, "deleted": true}'),
 ('reciter', 'a0000000-0000-0000-0000-000000000002', 1, 2, 2, 2, '{"name": "Mesum", "slug": "mesum", "description": "of Karachi", "avatar": null}'),
 ('reciter', 'a0000000-0000-0000-0000-000000000002', 2, 2, 6, 6, '{"name": "Mesum Abbas", "slug": "mesum-abbas", "description": null, "avatar": null}'),
 ('album', 'b0000000-0000-0000-0000-000000000001', 1, 4, 4, 4, '{"reciter_id": "a0000000-0000-0000-0000-000000000001", "title": "One", "year": "2001", "artwork": null}'),
 ('album', 'b0000000-0000-0000-0000-000000000001', 2, 4, 4, 7, '{"reciter_id": "a0000000-0000-0000-0000-000000000001", "title": "One", "year": "2001", "artwork": null, "deleted": true}'),
 ('album', 'b0000000-0000-0000-0000-000000000002', 1, 5, 5, 5, '{"reciter_id": "a0000000-0000-0000-0000-000000000002", "title": "Two", "year": "2002", "artwork": null}'),
 ('album', 'b0000000-0000-0000-0000-000000000002', 2, 5, 10, 10, '{"reciter_id": "a0000000-0000-0000-0000-000000000002", "title": "Two", "year": "2002", "artwork": "two.png"}')) x (kind, id, v, born, updated, p, c);
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
			func(f Findings) bool { return f.Reordered == 2 && f.Wrong > 0 }},
		"an old name":      {"UPDATE reciters SET name = 'Mesum'", func(f Findings) bool { return f.Wrong == 1 }},
		"a value not null": {"UPDATE reciters SET description = 'of Karachi'", func(f Findings) bool { return f.Wrong == 1 }},
		"a missed upload":  {"UPDATE albums SET artwork = NULL", func(f Findings) bool { return f.Wrong == 1 }},
		"an old value in a revision": {`UPDATE revisions SET content = content || '{"description": null}' WHERE entity LIKE 'reciter%2' AND version = 1`,
			func(f Findings) bool { return f == onlyWrong(1) }},
		"a revision before its time": {`UPDATE revisions SET content = content || '{"artwork": "two.png"}' WHERE entity LIKE 'album%2' AND version = 1`,
			func(f Findings) bool { return f == onlyWrong(1) }},
		"a revision of another":   {"UPDATE revisions SET content = content || jsonb_build_object('id', gen_random_uuid()) WHERE version = 1", func(f Findings) bool { return f == onlyWrong(4) }},
		"another's album":         {"UPDATE revisions SET content = content - 'reciter_id' WHERE entity LIKE 'album%1' AND version = 1", func(f Findings) bool { return f == onlyWrong(1) }},
		"a wrong time of birth":   {`UPDATE revisions SET content = content || '{"created_at": "2026-01-02"}' WHERE entity LIKE 'album%1' AND version = 2`, func(f Findings) bool { return f == onlyWrong(1) }},
		"an edit not dated":       {"UPDATE albums SET updated_at = created_at", func(f Findings) bool { return f == onlyWrong(1) }},
		"a slug of before":        {"UPDATE reciters SET slug = 'mesum'", func(f Findings) bool { return f == onlyWrong(1) }},
		"a number of before":      {"UPDATE reciters SET revision = 1", func(f Findings) bool { return f == onlyWrong(1) }},
		"a death forgotten":       {"DELETE FROM tombstones WHERE id::text LIKE 'b%'", func(f Findings) bool { return f == onlyWrong(1) }},
		"a death that never came": {"INSERT INTO tombstones VALUES (gen_random_uuid(), now())", func(f Findings) bool { return f == onlyWrong(1) }},
		"an old checkpoint":       {"UPDATE checkpoint SET position = 9", func(f Findings) bool { return f.Behind == 1 && f.Events == 8 }},
	} {
		t.Run(name, func(t *testing.T) {
			if got := auditAfter(t, test.damage); !test.found(got) {
				t.Fatalf("not found as it should be: %+v", got)
			}
		})
	}
}

func onlyWrong(n int64) Findings { return Findings{Events: 9, Reciters: 1, Albums: 1, Wrong: n} }

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
