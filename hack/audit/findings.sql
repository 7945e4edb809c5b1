-- One row: what was found. Every number but the first three must be 0.
WITH projected AS (
    SELECT count(*) FILTER (WHERE a.n IS NULL) AS missing,
           count(*) FILTER (WHERE e.event_id IS NULL OR a.n > 1) AS surplus
    FROM expected_projected e
    FULL JOIN (SELECT event_id, projector, count(*) AS n FROM projected_events GROUP BY 1, 2) a USING (event_id, projector)
), revised AS (
    SELECT count(*) FILTER (WHERE a.entity IS NULL) AS missing,
           count(*) FILTER (WHERE e.entity IS NULL) AS surplus,
           count(*) FILTER (WHERE e.recorded_at <> a.created_at OR e.deletes <> coalesce((a.content ->> 'deleted')::boolean, false)) AS misplaced
    FROM expected_changes e FULL JOIN revisions a USING (entity, version)
), living AS (
    SELECT (SELECT count(*) FROM (SELECT id FROM reciter_lives WHERE dead IS NULL EXCEPT SELECT id::text FROM reciters) x)
         + (SELECT count(*) FROM (SELECT id, reciter FROM album_lives WHERE dead IS NULL EXCEPT SELECT id::text, reciter_id::text FROM albums) x) AS missing,
           (SELECT count(*) FROM (SELECT id::text FROM reciters EXCEPT SELECT id FROM reciter_lives WHERE dead IS NULL) x)
         + (SELECT count(*) FROM (SELECT id::text, reciter_id::text FROM albums EXCEPT SELECT id, reciter FROM album_lives WHERE dead IS NULL) x) AS surplus
), wrong AS (
    SELECT count(*) + (SELECT count(*) FROM wrong_shelves) + (SELECT count(*) FROM wrong_contents) + (SELECT count(*) FROM wrong_entities) AS n FROM actual_values a LEFT JOIN expected_values e USING (entity, key)
    WHERE a.value IS DISTINCT FROM e.value
)
SELECT (SELECT count(*) FROM log) AS events,
       (SELECT count(*) FROM reciters) AS reciters,
       (SELECT count(*) FROM albums) AS albums,
       projected.missing + revised.missing + living.missing AS lost,
       projected.surplus + revised.surplus + living.surplus AS duplicated,
       revised.misplaced AS reordered,
       wrong.n AS wrong
FROM projected, revised, living, wrong;
