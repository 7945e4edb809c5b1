-- The log as columns, in the database that is to be built: what every later step reads.

CREATE AGGREGATE merged(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb, INITCOND = '{}');

CREATE UNLOGGED TABLE log AS
SELECT position, name, (payload->>'id')::uuid AS entity, (payload->>'reciterId')::uuid AS reciter, recorded_at,
    -- A name, title or year cannot be cleared.
    CASE
        WHEN name = 'ReciterAvatarUploaded' THEN jsonb_build_object('avatar', payload->'path')
        WHEN name = 'AlbumArtworkUploaded' THEN jsonb_build_object('artwork', payload->'path')
        WHEN payload->'attributes' @> '{"name": null}' THEN (payload->'attributes') - 'name'
        WHEN payload->'attributes' @> '{"title": null}' OR payload->'attributes' @> '{"year": null}'
            THEN (payload->'attributes') - ARRAY(SELECT k FROM unnest('{title,year}'::text[]) AS k WHERE payload->'attributes'->k = 'null')
        ELSE payload->'attributes'
    END AS attributes
FROM events;
ANALYZE log;
