package verify

import "testing"

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

func TestMutantsOfADatabase(t *testing.T) {
	build(t, generated).catches(t, []damage{
		{name: "an event not handled by one projector", check: "completeness", statement: "DELETE FROM projected_events WHERE id = " + aProjected},
		{name: "an event of an unknown projector", check: "completeness", statement: "UPDATE projected_events SET projector = 'other' WHERE id = " + aProjected},
		{name: "an event that is not in the log", check: "completeness", statement: "UPDATE projected_events SET event_id = gen_random_uuid() WHERE id = " + aProjected},
		{name: "an event too much", check: "completeness", statement: "INSERT INTO projected_events VALUES (gen_random_uuid(), gen_random_uuid(), 'albums', now())"},
		{name: "a truncated projector", check: "completeness", statement: "TRUNCATE projected_events"},
		{name: "a checkpoint that is ahead", check: "checkpoint", statement: "UPDATE checkpoint SET position = position + 1"},
		{name: "a checkpoint that is behind", check: "completeness", statement: "UPDATE checkpoint SET position = position - 10, target = position - 10"},
		{name: "a stage that is not the last", check: "checkpoint", statement: "UPDATE checkpoint SET stage = 'indexing'"},
		{name: "another log's tail", check: "checkpoint", statement: "UPDATE checkpoint SET tail = jsonb_set(tail, '{-1,id}', to_jsonb(gen_random_uuid()))"},
		{name: "no tail", check: "checkpoint", statement: "UPDATE checkpoint SET tail = '[]'"},
		{name: "a revision missing in the middle", check: "revisions-contiguous", statement: "DELETE FROM revisions WHERE version = 2 AND entity = " + aManyOne},
		{name: "the first revision missing", check: "revisions-contiguous", statement: "DELETE FROM revisions WHERE version = 1 AND entity = " + aManyOne},
		{name: "the last revision missing", check: "reciters-current", statement: "DELETE FROM revisions r WHERE entity = 'reciter:' || " + aReciter +
			" AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"},
		{name: "a revision after the deletion", check: "revisions-final", statement: "INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions WHERE content->>'deleted' = 'true' AND entity = " + aDeletedOne},
		{name: "a revision of nothing", check: "entities-known", statement: "INSERT INTO revisions VALUES (gen_random_uuid(), 'song:1', 1, '{}', now())"},
		{name: "a revision with a wrong content", check: "reciters-current", statement: "UPDATE revisions r SET content = jsonb_set(content::jsonb, '{name}', '\"x\"') WHERE entity = 'reciter:' || " + aReciter +
			" AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"},
		{name: "a reciter missing", check: "reciters-current", statement: "DELETE FROM reciters WHERE id = " + aReciter},
		{name: "a reciter too much", check: "reciters-current", statement: "INSERT INTO reciters VALUES (gen_random_uuid(), 'x', 'x--x', NULL, NULL, 1, now(), now())"},
		{name: "a reciter's name changed", check: "reciters-current", statement: "UPDATE reciters SET name = name || ' ' WHERE id = " + aReciter},
		{name: "a reciter's slug changed", check: "reciters-current", statement: "UPDATE reciters SET slug = slug || '-' WHERE id = " + aReciter},
		{name: "a reciter's description cleared", check: "reciters-current", statement: "UPDATE reciters SET description = CASE WHEN description IS NULL THEN 'x' END WHERE id = " + aReciter},
		{name: "a reciter's times swapped", check: "reciters-current", statement: "UPDATE reciters SET created_at = updated_at, updated_at = created_at - interval '1 s' WHERE id = " + aReciter},
		{name: "an album missing", check: "albums-current", statement: "DELETE FROM albums WHERE id = " + anAlbum},
		{name: "an album of another reciter", check: "albums-current", statement: "UPDATE albums SET reciter_id = (SELECT id FROM reciters r WHERE r.id <> reciter_id LIMIT 1) WHERE id = " + anAlbum},
		{name: "an album of nobody", check: "albums-owned", statement: "UPDATE albums SET reciter_id = gen_random_uuid() WHERE id = " + anAlbum},
		{name: "an album's year changed", check: "albums-current", statement: "UPDATE albums SET year = '0000' WHERE id = " + anAlbum},
		{name: "an album's artwork changed", check: "albums-current", statement: "UPDATE albums SET artwork = coalesce(artwork, '') || 'x' WHERE id = " + anAlbum},
		{name: "albums truncated", check: "albums-current", statement: "TRUNCATE albums"},
		{name: "a tombstone missing", check: "tombstones", statement: "DELETE FROM tombstones WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{name: "a tombstone of another time", check: "tombstones", statement: "UPDATE tombstones SET deleted_at = '2020-01-01Z' WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{name: "a tombstone of a living one", check: "tombstones", statement: "UPDATE tombstones SET id = " + aReciter + " WHERE id = (SELECT id FROM tombstones LIMIT 1)"},
		{name: "a slug twice", check: "slugs-unique", statement: "ALTER TABLE reciters DROP CONSTRAINT reciters_slug_key; UPDATE reciters SET slug = (SELECT min(slug) FROM reciters)"},
		{name: "an index missing", check: "indexes", statement: "DROP INDEX reciters_lower_name_idx"},
		{name: "an index that is not valid", check: "indexes", statement: "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'revisions_entity_version_key'::regclass"},
		{name: "no statistics of a table", check: "statistics", statement: "DELETE FROM pg_statistic WHERE starelid = 'revisions'::regclass"},
		{name: "a migration too much", check: "schema", statement: "UPDATE schema_version SET version = version + 1"},
		{name: "a column missing", check: "reciters-current", statement: "ALTER TABLE reciters DROP COLUMN avatar"},
		{name: "a table missing", check: "tombstones", statement: "DROP TABLE tombstones"},
		{name: "a wrong name in the row and its revision", check: "reciters-content", statement: "UPDATE reciters SET name = 'x' WHERE id = " + aReciter + ";" +
			lastRevision("reciter", aReciter, `jsonb_set(content::jsonb, '{name}', '"x"')`)},
		{name: "a wrong time in the row and its revision", check: "reciters-content", statement: "UPDATE reciters SET updated_at = '2020-01-01Z' WHERE id = " + aReciter + ";" +
			lastRevision("reciter", aReciter, `jsonb_set(content::jsonb, '{updated_at}', '"2020-01-01T00:00:00Z"')`)},
		{name: "a description lost in the row and its revision", check: "reciters-content", statement: "UPDATE reciters SET description = NULL WHERE id = " + aDescribed + ";" +
			lastRevision("reciter", aDescribed, `jsonb_set(content::jsonb, '{description}', 'null')`)},
		{name: "an event applied to the wrong album", check: "albums-content", statement: "UPDATE albums SET artwork = 'x' WHERE id = " + anAlbum + ";" +
			lastRevision("album", anAlbum, `jsonb_set(content::jsonb, '{artwork}', '"x"')`)},
		{name: "an album moved with its revision", check: "albums-content", statement: "UPDATE albums SET reciter_id = " + aReciter + " WHERE id = " + anAlbum + ";" +
			lastRevision("album", anAlbum, "jsonb_set(content::jsonb, '{reciter_id}', to_jsonb("+aReciter+"))")},
		{name: "an event applied twice", check: "albums-content", statement: "UPDATE albums SET revision = revision + 1 WHERE id = " + anAlbum + ";" +
			"INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions WHERE entity = 'album:' || " + anAlbum +
			" ORDER BY version DESC LIMIT 1"},
		{name: "an event not applied", check: "albums-content", statement: "DELETE FROM revisions WHERE (entity, version) = (SELECT 'album:' || id, revision FROM albums WHERE revision > 1 ORDER BY id LIMIT 1);" +
			"UPDATE albums a SET revision = revision - 1, updated_at = (SELECT (content->>'updated_at')::timestamptz FROM revisions WHERE entity = 'album:' || a.id ORDER BY version DESC LIMIT 1)" +
			" WHERE id = (SELECT id FROM albums WHERE revision > 1 ORDER BY id LIMIT 1)"},
		{name: "an album that never came", check: "albums-content", statement: "DELETE FROM revisions WHERE entity = 'album:' || " + anAlbum + "; DELETE FROM albums WHERE id = " + anAlbum},
		{name: "an album that nobody made", check: "albums-content", statement: "INSERT INTO albums SELECT '00000000-0000-4000-8000-000000000000', reciter_id, title, year, artwork, 1, created_at, updated_at FROM albums LIMIT 1;" +
			"INSERT INTO revisions SELECT gen_random_uuid(), 'album:' || id, 1, to_jsonb(a) - 'revision', created_at FROM albums a WHERE id = '00000000-0000-4000-8000-000000000000'"},
		{name: "a deletion forgotten", check: "albums-content", statement: "DELETE FROM tombstones WHERE 'album:' || id = " + aDeletedAlbum + ";" +
			"INSERT INTO albums SELECT (content->>'id')::uuid, (content->>'reciter_id')::uuid, content->>'title', content->>'year', content->>'artwork', version - 1," +
			" (content->>'created_at')::timestamptz, (content->>'updated_at')::timestamptz FROM revisions WHERE content->>'deleted' = 'true' AND entity = " + aDeletedAlbum + ";" +
			"DELETE FROM revisions WHERE content->>'deleted' = 'true' AND entity = (SELECT 'album:' || id FROM albums WHERE 'album:' || id = entity)"},
	})
}

func TestMutantsOfShelves(t *testing.T) {
	const aShelved = "(SELECT id FROM shelved_albums ORDER BY id LIMIT 1)"
	buildVersion(t, "3.2.0", generated).catches(t, []damage{
		{name: "an album not on its shelf", check: "shelves-complete", statement: "DELETE FROM shelved_albums WHERE id = " + aShelved},
		{name: "an album on another shelf", check: "shelves-complete", statement: "UPDATE shelved_albums SET reciter_id = gen_random_uuid() WHERE id = " + aShelved},
		{name: "a shelved album that is not there", check: "shelves-complete", statement: "INSERT INTO shelved_albums VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"},
		{name: "a shelf that miscounts", check: "shelves-counted", statement: "UPDATE shelves SET albums = albums + 1"},
		{name: "a shelf missing", check: "shelves-counted", statement: "DELETE FROM shelves WHERE id = (SELECT reciter_id FROM shelved_albums LIMIT 1)"},
		{name: "a slug twice on a shelf", check: "shelf-slugs-unique", statement: "ALTER TABLE shelved_albums DROP CONSTRAINT shelved_albums_reciter_id_slug_key; UPDATE shelved_albums SET slug = 'x'"},
	})
}

// What a reader of the log makes wrong shows as a log that is not what the
// database was built from: it is changed after the fact.
func TestMutantsOfTheReader(t *testing.T) {
	build(t, generated).catches(t, []damage{
		{name: "a late event passed over", check: "completeness", log: "DELETE FROM events WHERE position = 100;" +
			"INSERT INTO events (position, id, name, payload) OVERRIDING SYSTEM VALUE VALUES (100, gen_random_uuid(), 'ReciterDeleted', jsonb_build_object('id', gen_random_uuid()))"},
		{name: "a late event in a hole", check: "completeness", log: "INSERT INTO events (position, id, name, payload) OVERRIDING SYSTEM VALUE" +
			" SELECT 0, gen_random_uuid(), name, payload FROM events WHERE position = 1"},
		{name: "an event read that was rolled back", check: "completeness", log: "DELETE FROM events WHERE position = 77"},
		{name: "the last event rolled back", check: "checkpoint", log: "DELETE FROM events WHERE position = (SELECT max(position) FROM events)"},
		{name: "an event read with another payload", check: "albums-content", log: `
			UPDATE events SET payload = jsonb_set(payload, '{attributes,title}', '"x"') WHERE position = (SELECT min(position) FROM events c
				WHERE name = 'AlbumCreated' AND NOT EXISTS (SELECT FROM events m WHERE m.name = 'AlbumModified' AND m.payload->>'id' = c.payload->>'id'))`},
		{name: "an event read with another name", check: "completeness", log: "UPDATE events SET name = 'AlbumModified' WHERE position = (SELECT min(position) FROM events WHERE name = 'ReciterModified')"},
		{name: "an event read with another time", check: "reciters-content", log: "UPDATE events SET recorded_at = recorded_at - interval '1 s' WHERE position = (SELECT min(position) FROM events WHERE name = 'ReciterCreated')"},
		{name: "two events read in the wrong order", check: "albums-content", log: `
			WITH titles AS (SELECT position, payload, payload->>'id' AS album, payload->'attributes'->>'title' AS title,
					row_number() OVER (PARTITION BY payload->>'id' ORDER BY position DESC) AS n
				FROM events WHERE name = 'AlbumModified' AND payload->'attributes'->>'title' IS NOT NULL),
			swapped AS (SELECT a.position AS last, b.position AS former, a.payload AS lasts, b.payload AS formers
				FROM titles a JOIN titles b USING (album) WHERE a.n = 1 AND b.n = 2 AND a.title <> b.title ORDER BY album LIMIT 1)
			UPDATE events SET payload = CASE position WHEN last THEN formers ELSE lasts END FROM swapped WHERE position IN (last, former)`},
		{name: "an event of an unknown version", check: "events-known", log: "UPDATE events SET version = 2 WHERE position = 7"},
		{name: "an event of an unknown name", check: "events-known", log: "UPDATE events SET name = 'ReciterKnighted' WHERE position = 7"},
		{name: "another log of the same length", check: "checkpoint", log: "UPDATE events SET id = gen_random_uuid()"},
	})
}
