-- Which projector handled which event.
INSERT INTO projected_events (id, event_id, projector, projected_at)
SELECT gen_random_uuid(), e.id, p, clock_timestamp()
FROM events e CROSS JOIN LATERAL unnest(CASE
    WHEN name = 'ReciterDeleted' THEN '{reciters,albums,revisions}'::text[]
    WHEN name LIKE 'Reciter%' THEN '{reciters,revisions}'
    ELSE '{albums,revisions}' END) AS p;
