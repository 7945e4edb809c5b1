-- What a version's database should hold, worked out from the log in plain SQL.
-- Runs in the version's database, after the table "log" was filled with the
-- events up to its checkpoint.

CREATE INDEX ON log (position);
CREATE INDEX ON log ((payload ->> 'id'));
ANALYZE log;

-- Which projector has to have seen which events.
CREATE TEMP TABLE handles (name text, projector text);
INSERT INTO handles VALUES
    ('ReciterCreated', 'reciters'), ('ReciterModified', 'reciters'), ('ReciterAvatarUploaded', 'reciters'), ('ReciterDeleted', 'reciters'),
    ('AlbumCreated', 'albums'), ('AlbumModified', 'albums'), ('AlbumArtworkUploaded', 'albums'), ('AlbumDeleted', 'albums'),
    ('ReciterDeleted', 'albums');
INSERT INTO handles SELECT DISTINCT name, 'revisions' FROM handles;
-- Since 3.2.0 there are shelves.
INSERT INTO handles
SELECT name, 'shelves' FROM unnest(ARRAY['AlbumCreated', 'AlbumModified', 'AlbumDeleted', 'ReciterDeleted']) name
WHERE to_regclass('shelved_albums') IS NOT NULL;

CREATE TEMP TABLE expected_projected AS
    SELECT log.id AS event_id, handles.projector FROM log JOIN handles USING (name);

-- When each entity lived. An id lives once: from its first creation to the first
-- deletion after that, and not at all when it was an entity of the other kind
-- that died before. An album is born by the first creation that finds its
-- reciter alive, and dies with it or before it.
CREATE TEMP TABLE reciter_lives (id text PRIMARY KEY, born bigint, dead bigint);
CREATE TEMP TABLE album_lives (id text PRIMARY KEY, reciter text, born bigint, dead bigint);

-- The two kinds depend on each other, always on what came earlier in the log; so
-- working both out again and again comes to an end.
DO $$
DECLARE
    before numeric;
    now    numeric := -1;
BEGIN
    WHILE now IS DISTINCT FROM before LOOP
        before := now;
        TRUNCATE reciter_lives;
        INSERT INTO reciter_lives
            SELECT born.id, born.position, min(dead.position)
            FROM (SELECT payload ->> 'id' AS id, min(position) AS position FROM log WHERE name = 'ReciterCreated' GROUP BY 1) born
            LEFT JOIN log dead ON dead.name = 'ReciterDeleted' AND dead.payload ->> 'id' = born.id AND dead.position > born.position
            WHERE NOT EXISTS (SELECT FROM album_lives a WHERE a.id = born.id AND a.dead < born.position)
            GROUP BY born.id, born.position;
        ANALYZE reciter_lives;
        TRUNCATE album_lives;
        INSERT INTO album_lives
            SELECT born.id, born.reciter, born.position, least(min(dead.position), born.reciter_dead)
            FROM (
                SELECT DISTINCT ON (payload ->> 'id') payload ->> 'id' AS id, r.id AS reciter, log.position, r.dead AS reciter_dead
                FROM log JOIN reciter_lives r ON r.id = payload ->> 'reciterId'
                WHERE name = 'AlbumCreated' AND log.position > r.born AND (r.dead IS NULL OR log.position < r.dead)
                ORDER BY payload ->> 'id', log.position) born
            LEFT JOIN log dead ON dead.name = 'AlbumDeleted' AND dead.payload ->> 'id' = born.id AND dead.position > born.position
            WHERE NOT EXISTS (SELECT FROM reciter_lives r WHERE r.id = born.id AND r.dead < born.position)
            GROUP BY born.id, born.reciter, born.position, born.reciter_dead;
        ANALYZE album_lives;
        SELECT sum(hashtextextended(concat_ws(' ', kind, id, born, dead), 0)) INTO now
        FROM (SELECT 'r' AS kind, id, born, dead FROM reciter_lives UNION ALL SELECT 'a', id, born, dead FROM album_lives) lives;
    END LOOP;
END $$;

-- Everything that changed an entity while it lived, in the log's order.
CREATE TEMP TABLE expected_changes AS
    SELECT kind || ':' || id AS entity, row_number() OVER (PARTITION BY kind, id ORDER BY position) AS version,
           position, recorded_at, position IS NOT DISTINCT FROM dead AS deletes, born = position AS creates, attributes
    FROM (
        SELECT 'reciter' AS kind, l.id, l.born, l.dead, log.position, log.recorded_at,
               CASE log.name WHEN 'ReciterAvatarUploaded' THEN jsonb_build_object('avatar', payload -> 'path')
                             ELSE payload -> 'attributes' END AS attributes
        FROM log JOIN reciter_lives l ON l.id = payload ->> 'id'
        WHERE log.position = l.born OR log.position = l.dead
           OR (log.name IN ('ReciterModified', 'ReciterAvatarUploaded') AND log.position > l.born AND (l.dead IS NULL OR log.position < l.dead))
        UNION ALL
        SELECT 'album', l.id, l.born, l.dead, log.position, log.recorded_at,
               CASE log.name WHEN 'AlbumArtworkUploaded' THEN jsonb_build_object('artwork', payload -> 'path')
                             ELSE payload -> 'attributes' END
        FROM log JOIN album_lives l ON l.id = payload ->> 'id'
        WHERE log.position = l.born
           OR (log.name IN ('AlbumModified', 'AlbumArtworkUploaded') AND log.position > l.born AND (l.dead IS NULL OR log.position < l.dead))
        UNION ALL
        SELECT 'album', l.id, l.born, l.dead, log.position, log.recorded_at, NULL
        FROM album_lives l JOIN log ON log.position = l.dead) changes;
CREATE INDEX ON expected_changes (entity, version);

-- The value of each attribute after each change: the last one that was given. A
-- name, title or year cannot be cleared.
CREATE TEMP TABLE expected_history AS
    SELECT entity, version, key, max(value) OVER (PARTITION BY entity, key, nth) AS value
    FROM (
        SELECT entity, version, key, CASE WHEN given THEN attributes ->> key END AS value,
               count(*) FILTER (WHERE given) OVER (PARTITION BY entity, key ORDER BY version) AS nth
        FROM (
            SELECT entity, version, key, attributes,
                   CASE jsonb_typeof(attributes) WHEN 'object'
                        THEN attributes ? key AND NOT (key IN ('name', 'title', 'year') AND attributes -> key = 'null') ELSE false END AS given
            FROM expected_changes, unnest(CASE split_part(entity, ':', 1) WHEN 'reciter' THEN ARRAY['name', 'description', 'avatar']
                                                                         ELSE ARRAY['title', 'year', 'artwork'] END) key) asked) counted;
CREATE TEMP TABLE expected_values AS
    SELECT DISTINCT ON (entity, key) entity, key, value FROM expected_history ORDER BY entity, key, version DESC;
CREATE TEMP TABLE actual_values AS
    SELECT 'reciter:' || id AS entity, key, value
    FROM reciters, LATERAL (VALUES ('name', name), ('description', description), ('avatar', avatar)) v (key, value)
    UNION ALL
    SELECT 'album:' || id, key, value
    FROM albums, LATERAL (VALUES ('title', title), ('year', year), ('artwork', artwork)) v (key, value);

-- What is wrong with the shelves, of versions that have them.
CREATE TEMP TABLE wrong_shelves (id uuid);
DO $$
BEGIN
    IF to_regclass('shelved_albums') IS NOT NULL THEN
        INSERT INTO wrong_shelves
        SELECT id FROM albums a FULL JOIN shelved_albums s USING (id) WHERE a.reciter_id IS DISTINCT FROM s.reciter_id
        UNION ALL
        SELECT id FROM (SELECT reciter_id AS id, count(*) AS n FROM albums GROUP BY 1) a FULL JOIN shelves s USING (id)
        WHERE a.n IS DISTINCT FROM s.albums;
    END IF;
END $$;

-- Revisions that do not hold their entity as it was after the change; one that
-- tells of a deletion holds it as it was last.
CREATE TEMP TABLE wrong_contents AS
    SELECT entity, version FROM expected_history e JOIN revisions r USING (entity, version) WHERE r.content ->> e.key IS DISTINCT FROM e.value
    UNION
    SELECT entity, version
    FROM (SELECT *, first_value(recorded_at) OVER entities AS created_at,
                 CASE WHEN deletes THEN lag(recorded_at) OVER entities ELSE recorded_at END AS updated_at
          FROM expected_changes WINDOW entities AS (PARTITION BY entity ORDER BY version)) e JOIN revisions r USING (entity, version)
    WHERE (r.content ->> 'id', (r.content ->> 'created_at')::timestamptz, (r.content ->> 'updated_at')::timestamptz)
          IS DISTINCT FROM (split_part(entity, ':', 2), e.created_at, e.updated_at)
    UNION
    SELECT entity, version FROM revisions r JOIN album_lives l ON r.entity = 'album:' || l.id WHERE r.content ->> 'reciter_id' IS DISTINCT FROM l.reciter;

-- Entities whose number of revisions, times or slug are not those of their last
-- revision, and deaths that are not remembered as they were.
CREATE TEMP TABLE wrong_entities AS
    SELECT actual.entity
    FROM (SELECT 'reciter:' || id AS entity, revision, slug, created_at, updated_at FROM reciters
          UNION ALL SELECT 'album:' || id, revision, NULL, created_at, updated_at FROM albums) actual
    LEFT JOIN LATERAL (SELECT * FROM revisions r WHERE r.entity = actual.entity ORDER BY r.version DESC LIMIT 1) last ON true
    WHERE (actual.revision, actual.slug, actual.created_at, actual.updated_at)
          IS DISTINCT FROM (last.version, last.content ->> 'slug', (last.content ->> 'created_at')::timestamptz, last.created_at)
    UNION ALL
    SELECT died.id
    FROM (SELECT l.id, log.recorded_at FROM (SELECT id, dead FROM reciter_lives UNION ALL SELECT id, dead FROM album_lives) l JOIN log ON log.position = l.dead) died
    FULL JOIN tombstones t ON t.id::text = died.id WHERE t.deleted_at IS DISTINCT FROM died.recorded_at;

ANALYZE expected_projected;
ANALYZE expected_changes;
ANALYZE expected_values;
ANALYZE actual_values;
