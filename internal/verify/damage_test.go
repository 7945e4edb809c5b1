package verify

import (
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

// aReciter and its kin pick rows that are there in every generated log.
const (
	aReciter      = "(SELECT id FROM reciters ORDER BY slug LIMIT 1)"
	anAlbum       = "(SELECT id FROM albums ORDER BY id LIMIT 1)"
	aDeletedOne   = "(SELECT entity FROM revisions WHERE content->>'deleted' = 'true' ORDER BY entity LIMIT 1)"
	aManyOne      = "(SELECT entity FROM revisions GROUP BY entity HAVING max(version) > 3 ORDER BY entity LIMIT 1)"
	aDescribed    = "(SELECT id FROM reciters WHERE description IS NOT NULL ORDER BY slug LIMIT 1)"
	aDeletedAlbum = "(SELECT entity FROM revisions WHERE content->>'deleted' = 'true' AND entity LIKE 'album:%' ORDER BY entity LIMIT 1)"
	aProjected    = "(SELECT id FROM projected_events WHERE projector = 'albums' ORDER BY id LIMIT 1)"
)

// lastRevision changes the content of an entity's last revision.
func lastRevision(kind, id, content string) string {
	return "UPDATE revisions r SET content = " + content + " WHERE entity = '" + kind + ":' || " + id +
		" AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"
}

// damage is something wrong with a database, and the check that should catch it.
type damage struct{ name, check, statement string }

func TestDamageIsCaughtByTheCheckThatShould(t *testing.T) {
	build(t, generated).catches(t, []damage{
		{"an event not handled by one projector", "completeness", "DELETE FROM projected_events WHERE id = " + aProjected},
		{"an event of an unknown projector", "completeness", "UPDATE projected_events SET projector = 'other' WHERE id = " + aProjected},
		{"an event that is not in the log", "completeness", "UPDATE projected_events SET event_id = gen_random_uuid() WHERE id = " + aProjected},
		{"an event too much", "completeness", "INSERT INTO projected_events VALUES (gen_random_uuid(), gen_random_uuid(), 'albums', now())"},
		{"a truncated projector", "completeness", "TRUNCATE projected_events"},
		{"a checkpoint that is ahead", "checkpoint", "UPDATE checkpoint SET position = position + 1"},
		{"a checkpoint that is behind", "completeness", "UPDATE checkpoint SET position = position - 10, target = position - 10"},
		{"a stage that is not the last", "checkpoint", "UPDATE checkpoint SET stage = 'indexing'"},
		{"another log's tail", "checkpoint", "UPDATE checkpoint SET tail = jsonb_set(tail, '{-1,id}', to_jsonb(gen_random_uuid()))"},
		{"no tail", "checkpoint", "UPDATE checkpoint SET tail = '[]'"},
		{"a revision missing in the middle", "revisions-contiguous", "DELETE FROM revisions WHERE version = 2 AND entity = " + aManyOne},
		{"the first revision missing", "revisions-contiguous", "DELETE FROM revisions WHERE version = 1 AND entity = " + aManyOne},
		{"the last revision missing", "reciters-current", "DELETE FROM revisions r WHERE entity = 'reciter:' || " + aReciter +
			" AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"},
		{"a revision after the deletion", "revisions-final", "INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions WHERE content->>'deleted' = 'true' AND entity = " + aDeletedOne},
		{"a revision of nothing", "entities-known", "INSERT INTO revisions VALUES (gen_random_uuid(), 'song:1', 1, '{}', now())"},
		{"a revision with a wrong content", "reciters-current", "UPDATE revisions r SET content = jsonb_set(content::jsonb, '{name}', '\"x\"') WHERE entity = 'reciter:' || " + aReciter +
			" AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"},
		{"a reciter missing", "reciters-current", "DELETE FROM reciters WHERE id = " + aReciter},
		{"a reciter too much", "reciters-current", "INSERT INTO reciters VALUES (gen_random_uuid(), 'x', 'x--x', NULL, NULL, 1, now(), now())"},
		{"a reciter's name changed", "reciters-current", "UPDATE reciters SET name = name || ' ' WHERE id = " + aReciter},
		{"a reciter's slug changed", "reciters-current", "UPDATE reciters SET slug = slug || '-' WHERE id = " + aReciter},
		{"a reciter's description cleared", "reciters-current", "UPDATE reciters SET description = CASE WHEN description IS NULL THEN 'x' END WHERE id = " + aReciter},
		{"a reciter's times swapped", "reciters-current", "UPDATE reciters SET created_at = updated_at, updated_at = created_at - interval '1 s' WHERE id = " + aReciter},
		{"an album missing", "albums-current", "DELETE FROM albums WHERE id = " + anAlbum},
		{"an album of another reciter", "albums-current", "UPDATE albums SET reciter_id = (SELECT id FROM reciters r WHERE r.id <> reciter_id LIMIT 1) WHERE id = " + anAlbum},
		{"an album of nobody", "albums-owned", "UPDATE albums SET reciter_id = gen_random_uuid() WHERE id = " + anAlbum},
		{"an album's year changed", "albums-current", "UPDATE albums SET year = '0000' WHERE id = " + anAlbum},
		{"an album's artwork changed", "albums-current", "UPDATE albums SET artwork = coalesce(artwork, '') || 'x' WHERE id = " + anAlbum},
		{"albums truncated", "albums-current", "TRUNCATE albums"},
		{"a tombstone missing", "tombstones", "DELETE FROM tombstones WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{"a tombstone of another time", "tombstones", "UPDATE tombstones SET deleted_at = '2020-01-01Z' WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{"a tombstone of a living one", "tombstones", "UPDATE tombstones SET id = " + aReciter + " WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{"a slug twice", "slugs-unique", "ALTER TABLE reciters DROP CONSTRAINT reciters_slug_key; UPDATE reciters SET slug = (SELECT min(slug) FROM reciters)"},
		{"an index missing", "indexes", "DROP INDEX reciters_lower_name_idx"},
		{"an index that is not valid", "indexes", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'revisions_entity_version_key'::regclass"},
		{"a migration too much", "schema", "UPDATE schema_version SET version = version + 1"},
		{"a column missing", "reciters-current", "ALTER TABLE reciters DROP COLUMN avatar"},
		{"a table missing", "tombstones", "DROP TABLE tombstones"},
		{"a wrong name in the row and its revision", "reciters-content", "UPDATE reciters SET name = 'x' WHERE id = " + aReciter + ";" +
			lastRevision("reciter", aReciter, `jsonb_set(content::jsonb, '{name}', '"x"')`)},
		{"a wrong time in the row and its revision", "reciters-content", "UPDATE reciters SET updated_at = '2020-01-01Z' WHERE id = " + aReciter + ";" +
			lastRevision("reciter", aReciter, `jsonb_set(content::jsonb, '{updated_at}', '"2020-01-01T00:00:00Z"')`)},
		{"a description lost in the row and its revision", "reciters-content", "UPDATE reciters SET description = NULL WHERE id = " + aDescribed + ";" +
			lastRevision("reciter", aDescribed, `jsonb_set(content::jsonb, '{description}', 'null')`)},
		{"an event applied to the wrong album", "albums-content", "UPDATE albums SET artwork = 'x' WHERE id = " + anAlbum + ";" +
			lastRevision("album", anAlbum, `jsonb_set(content::jsonb, '{artwork}', '"x"')`)},
		{"an album moved with its revision", "albums-content", "UPDATE albums SET reciter_id = " + aReciter + " WHERE id = " + anAlbum + ";" +
			lastRevision("album", anAlbum, "jsonb_set(content::jsonb, '{reciter_id}', to_jsonb("+aReciter+"))")},
		{"an event applied twice", "albums-content", "UPDATE albums SET revision = revision + 1 WHERE id = " + anAlbum + ";" +
			"INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions WHERE entity = 'album:' || " + anAlbum +
			" ORDER BY version DESC LIMIT 1"},
		{"an event not applied", "albums-content", "DELETE FROM revisions WHERE (entity, version) = (SELECT 'album:' || id, revision FROM albums WHERE revision > 1 ORDER BY id LIMIT 1);" +
			"UPDATE albums a SET revision = revision - 1, updated_at = (SELECT (content->>'updated_at')::timestamptz FROM revisions WHERE entity = 'album:' || a.id ORDER BY version DESC LIMIT 1)" +
			" WHERE id = (SELECT id FROM albums WHERE revision > 1 ORDER BY id LIMIT 1)"},
		{"an album that never came", "albums-content", "DELETE FROM revisions WHERE entity = 'album:' || " + anAlbum + "; DELETE FROM albums WHERE id = " + anAlbum},
		{"an album that nobody made", "albums-content", "INSERT INTO albums SELECT '00000000-0000-4000-8000-000000000000', reciter_id, title, year, artwork, 1, created_at, updated_at FROM albums LIMIT 1;" +
			"INSERT INTO revisions SELECT gen_random_uuid(), 'album:' || id, 1, to_jsonb(a) - 'revision', created_at FROM albums a WHERE id = '00000000-0000-4000-8000-000000000000'"},
		{"a deletion forgotten", "albums-content", "DELETE FROM tombstones WHERE 'album:' || id = " + aDeletedAlbum + ";" +
			"INSERT INTO albums SELECT (content->>'id')::uuid, (content->>'reciter_id')::uuid, content->>'title', content->>'year', content->>'artwork', version - 1," +
			" (content->>'created_at')::timestamptz, (content->>'updated_at')::timestamptz FROM revisions WHERE content->>'deleted' = 'true' AND entity = " + aDeletedAlbum + ";" +
			"DELETE FROM revisions WHERE content->>'deleted' = 'true' AND entity = (SELECT 'album:' || id FROM albums WHERE 'album:' || id = entity)"},
	})
}

func TestDamageToShelvesIsCaught(t *testing.T) {
	const aShelved = "(SELECT id FROM shelved_albums ORDER BY id LIMIT 1)"
	b := buildVersion(t, "3.2.0", generated)
	if _, err := b.verify(); err != nil {
		t.Fatal(err)
	}
	b.catches(t, []damage{
		{"an album not on its shelf", "shelves-complete", "DELETE FROM shelved_albums WHERE id = " + aShelved},
		{"an album on another shelf", "shelves-complete", "UPDATE shelved_albums SET reciter_id = gen_random_uuid() WHERE id = " + aShelved},
		{"a shelved album that is not there", "shelves-complete", "INSERT INTO shelved_albums VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"},
		{"a shelf that miscounts", "shelves-counted", "UPDATE shelves SET albums = albums + 1"},
		{"a shelf missing", "shelves-counted", "DELETE FROM shelves WHERE id = (SELECT reciter_id FROM shelved_albums LIMIT 1)"},
		{"a slug twice on a shelf", "shelf-slugs-unique", "ALTER TABLE shelved_albums DROP CONSTRAINT shelved_albums_reciter_id_slug_key; UPDATE shelved_albums SET slug = 'x'"},
	})
}

func (b *built) catches(t *testing.T, damages []damage) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			evidence, err := b.verifyDamaged(t, d.statement)
			var failed *FailedError
			if !errors.As(err, &failed) || evidence.Passed {
				t.Fatalf("not caught: %v", err)
			}
			found := slices.IndexFunc(evidence.Checks, func(check Check) bool { return check.Name == d.check })
			check := evidence.Checks[found]
			if check.Passed || check.Faults == 0 || check.Detail == "" {
				t.Errorf("%s did not catch it, others did: %v", d.check, err)
			}
			if len(check.Samples) > maxSamples {
				t.Errorf("%d samples", len(check.Samples))
			}
			if len(evidence.Checks) != len(checks(b.edition)) {
				t.Errorf("only %d checks were made", len(evidence.Checks))
			}
		})
	}
}

// verifyDamaged verifies a damaged database in the transaction that damaged it,
// and leaves it sound.
func (b *built) verifyDamaged(t *testing.T, statement string) (Evidence, error) {
	t.Helper()
	database, err := pgx.Connect(t.Context(), b.database)
	must(t, err)
	defer closing(database)
	source, err := pgx.Connect(t.Context(), b.source)
	must(t, err)
	defer closing(source)
	damaged, err := database.Begin(t.Context())
	must(t, err)
	log, err := source.Begin(t.Context())
	must(t, err)
	_, err = damaged.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	return inspect(t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log}, damaged, log)
}
