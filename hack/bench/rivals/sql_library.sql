-- When each entity lived. An id lives once, so only the first creation counts;
-- one of a reciter with an album's id does not.

CREATE UNLOGGED TABLE reciter_lives AS
WITH created AS (
    SELECT entity, min(position) AS born FROM log c WHERE name = 'ReciterCreated'
        AND NOT EXISTS (SELECT FROM log a WHERE a.name = 'AlbumCreated' AND a.entity = c.entity AND a.position < c.position)
    GROUP BY entity)
SELECT c.entity, c.born, min(d.position) AS died
FROM created c LEFT JOIN log d ON d.entity = c.entity AND d.name = 'ReciterDeleted' AND d.position > c.born
GROUP BY c.entity, c.born;
ALTER TABLE reciter_lives ADD PRIMARY KEY (entity);
ANALYZE reciter_lives;

CREATE UNLOGGED TABLE album_lives AS
WITH created AS (
    SELECT DISTINCT ON (c.entity) c.entity, c.reciter, c.position AS born, r.died
    FROM log c JOIN reciter_lives r ON r.entity = c.reciter AND r.born < c.position AND (r.died IS NULL OR r.died > c.position)
    WHERE c.name = 'AlbumCreated' ORDER BY c.entity, c.position)
SELECT c.entity, c.reciter, c.born, least(min(d.position), c.died) AS died
FROM created c LEFT JOIN log d ON d.entity = c.entity AND d.name = 'AlbumDeleted' AND d.position > c.born
GROUP BY c.entity, c.reciter, c.born, c.died;
ALTER TABLE album_lives ADD PRIMARY KEY (entity);
ANALYZE album_lives;

-- Addresses of reciters. A name that one reciter alone ever had gives its plain
-- slug; the others depend on who was there first and are walked through.

CREATE UNLOGGED TABLE slugs AS
SELECT position, entity, slug(name) AS base, slug(name) AS slug
FROM (SELECT l.position, l.entity, l.attributes->>'name' AS name,
        lag(l.attributes->>'name') OVER (PARTITION BY l.entity ORDER BY l.position) AS before
    FROM log l JOIN reciter_lives r ON r.entity = l.entity
        AND (l.position = r.born OR l.name = 'ReciterModified' AND l.position > r.born AND (r.died IS NULL OR l.position < r.died))
    WHERE l.attributes ? 'name') AS named
WHERE before IS DISTINCT FROM name;
ALTER TABLE slugs ADD PRIMARY KEY (position);
ANALYZE slugs;

CREATE TEMP TABLE taken (slug text PRIMARY KEY, entity uuid UNIQUE);
DO $$
DECLARE
    step record;
    wanted text;
BEGIN
    FOR step IN
        WITH contested AS MATERIALIZED (
            SELECT DISTINCT entity FROM slugs WHERE base IN (SELECT base FROM slugs GROUP BY base HAVING count(DISTINCT entity) > 1))
        SELECT s.position, s.entity, s.base FROM slugs s JOIN contested c ON c.entity = s.entity
        UNION ALL
        SELECT r.died, r.entity, NULL FROM reciter_lives r JOIN contested c ON c.entity = r.entity WHERE r.died IS NOT NULL
        ORDER BY 1
    LOOP
        DELETE FROM taken WHERE entity = step.entity;
        CONTINUE WHEN step.base IS NULL;
        wanted := step.base;
        IF EXISTS (SELECT FROM taken WHERE slug = wanted) THEN
            wanted := wanted || '--' || left(replace(step.entity::text, '-', ''), 8);
            UPDATE slugs SET slug = wanted WHERE position = step.position;
        END IF;
        INSERT INTO taken VALUES (wanted, step.entity);
    END LOOP;
END $$;

-- The entities after each of their events. What an attribute is now, is what
-- the attributes of all events so far make when they are laid over each other.

WITH states AS (
    SELECT l.entity, r.born, r.died, l.position, l.recorded_at,
        merged(CASE WHEN s.slug IS NULL THEN coalesce(l.attributes, '{}') ELSE l.attributes || jsonb_build_object('slug', s.slug) END) OVER life AS attributes,
        row_number() OVER life AS version,
        lead(l.position) OVER life IS NULL AS latest,
        min(l.recorded_at) OVER life AS created_at,
        -- A deletion leaves the time of the change before it.
        CASE WHEN l.position = r.died THEN lag(l.recorded_at) OVER life ELSE l.recorded_at END AS updated_at
    FROM log l JOIN reciter_lives r ON r.entity = l.entity AND (l.position = r.born
        OR l.name IN ('ReciterModified', 'ReciterAvatarUploaded', 'ReciterDeleted') AND l.position > r.born AND (r.died IS NULL OR l.position <= r.died))
    LEFT JOIN slugs s ON s.position = l.position
    WINDOW life AS (PARTITION BY l.entity ORDER BY l.position)
), recorded AS (
    INSERT INTO revisions (id, entity, version, content, created_at)
    SELECT gen_random_uuid(), 'reciter:' || entity, version, attributes || jsonb_build_object('id', entity,
        'created_at', written(created_at), 'updated_at', written(updated_at))
        || CASE WHEN position = died THEN '{"deleted": true}'::jsonb ELSE '{}' END, recorded_at
    FROM states
)
INSERT INTO reciters (id, name, slug, description, avatar, revision, created_at, updated_at)
SELECT entity, attributes->>'name', attributes->>'slug', attributes->>'description', attributes->>'avatar', version, created_at, updated_at
FROM states WHERE latest AND died IS NULL;

WITH changed AS (
    SELECT entity, position, recorded_at, name, attributes FROM log
    WHERE name IN ('AlbumCreated', 'AlbumModified', 'AlbumArtworkUploaded', 'AlbumDeleted')
    UNION ALL
    -- Albums that went with their reciter.
    SELECT a.entity, l.position, l.recorded_at, 'AlbumDeleted', NULL FROM album_lives a
        JOIN log l ON l.position = a.died AND l.name = 'ReciterDeleted'
), states AS (
    SELECT l.entity, a.reciter, a.died, l.position, l.recorded_at,
        merged(coalesce(l.attributes, '{}')) OVER life AS attributes,
        row_number() OVER life AS version,
        lead(l.position) OVER life IS NULL AS latest,
        min(l.recorded_at) OVER life AS created_at,
        CASE WHEN l.position = a.died THEN lag(l.recorded_at) OVER life ELSE l.recorded_at END AS updated_at
    FROM changed l JOIN album_lives a ON a.entity = l.entity AND (l.position = a.born
        OR l.name <> 'AlbumCreated' AND l.position > a.born AND (a.died IS NULL OR l.position <= a.died))
    WINDOW life AS (PARTITION BY l.entity ORDER BY l.position)
), recorded AS (
    INSERT INTO revisions (id, entity, version, content, created_at)
    SELECT gen_random_uuid(), 'album:' || entity, version, attributes || jsonb_build_object('id', entity, 'reciter_id', reciter,
        'created_at', written(created_at), 'updated_at', written(updated_at))
        || CASE WHEN position = died THEN '{"deleted": true}'::jsonb ELSE '{}' END, recorded_at
    FROM states
)
INSERT INTO albums (id, reciter_id, title, year, artwork, revision, created_at, updated_at)
SELECT entity, reciter, attributes->>'title', attributes->>'year', attributes->>'artwork', version, created_at, updated_at
FROM states WHERE latest AND died IS NULL;

INSERT INTO tombstones (id, deleted_at)
SELECT lives.entity, log.recorded_at FROM (SELECT entity, died FROM reciter_lives UNION ALL SELECT entity, died FROM album_lives) AS lives
JOIN log ON log.position = died;
