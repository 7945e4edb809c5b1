package verify

import "fmt"

const (
	// seed is the hash of an entity, h in what follows.
	seed = "uuid_hash_extended(id, album::int)"
	// ofLives is the hash of an entity's life.
	ofLives = "hashint8extended(version * 2 + deleted::int, h) # coalesce(uuid_hash_extended(reciter_id, h), 0)"
)

// textSum adds up the hashes of a text; no text is another thing than an empty one.
func textSum(value string, attribute int, where string) string {
	return fmt.Sprintf("coalesce(sum(coalesce(hashtextextended(%s, h # %d), hashint8extended(%[2]d, h)))%s, 0)::text", value, attribute, filter(where))
}

func timeSum(value string, attribute int, where string) string {
	return fmt.Sprintf("coalesce(sum(timestamp_hash_extended(%s AT TIME ZONE 'UTC', h # %d))%s, 0)::text", value, attribute, filter(where))
}

func filter(where string) string {
	if where == "" {
		return ""
	}
	return " FILTER (WHERE " + where + ")"
}

// sumOfLog finds when everything was born and died, and the positions of the
// last changes of each attribute in between; then it fetches what these events
// say, and adds that up. The arguments are those of content.log, which does the
// same for each kind by other means.
var sumOfLog = `WITH ends AS MATERIALIZED (
		SELECT position, (payload->>'id')::uuid AS id, CASE name WHEN 'AlbumCreated' THEN (payload->>'reciterId')::uuid END AS reciter_id,
			CASE name WHEN 'ReciterCreated' THEN 1 WHEN 'ReciterDeleted' THEN 4 WHEN 'AlbumCreated' THEN 5 ELSE 8 END AS op
		FROM %[1]s e WHERE position <= $1 AND version = 1 AND id <> ALL ($2::uuid[]) AND name IN ('ReciterCreated', 'ReciterDeleted', 'AlbumCreated', 'AlbumDeleted')),
	reciter_births AS (SELECT id, min(position) AS born FROM ends WHERE op = 1 AND id <> ALL ($3::uuid[]) GROUP BY 1),
	reciters AS MATERIALIZED (SELECT b.id, b.born, min(d.position) AS died FROM reciter_births b
		LEFT JOIN ends d ON d.op = 4 AND d.id = b.id AND d.position > b.born GROUP BY 1, 2),
	album_births AS (SELECT DISTINCT ON (c.id) c.id, c.position AS born, c.reciter_id, r.died AS reciter_died FROM ends c
		JOIN reciters r ON r.id = c.reciter_id AND r.born < c.position AND (r.died IS NULL OR c.position < r.died)
		WHERE c.op = 5 AND c.id <> ALL ($4::uuid[]) ORDER BY c.id, c.position),
	lives AS (SELECT false AS album, id, born, died, NULL::uuid AS reciter_id FROM reciters UNION ALL
		SELECT true, b.id, b.born, least(min(d.position), b.reciter_died), b.reciter_id FROM album_births b
			LEFT JOIN ends d ON d.op = 8 AND d.id = b.id AND d.position > b.born GROUP BY b.id, b.born, b.reciter_id, b.reciter_died),
	states AS MATERIALIZED (SELECT l.album, l.id, l.born, l.died, l.reciter_id, count(e.position) AS changes, max(e.position) AS last,
			max(e.position) FILTER (WHERE CASE op WHEN 2 THEN a->>'name' IS NOT NULL WHEN 6 THEN a->>'title' IS NOT NULL ELSE false END) AS first,
			max(e.position) FILTER (WHERE CASE op WHEN 2 THEN a ? 'description' WHEN 6 THEN a->>'year' IS NOT NULL ELSE false END) AS second,
			max(e.position) FILTER (WHERE CASE op WHEN 2 THEN a ? 'avatar' WHEN 6 THEN a ? 'artwork' ELSE true END) AS third
		FROM lives l LEFT JOIN (SELECT position, (payload->>'id')::uuid AS id, payload->'attributes' AS a,
				CASE name WHEN 'ReciterModified' THEN 2 WHEN 'ReciterAvatarUploaded' THEN 3 WHEN 'AlbumModified' THEN 6 ELSE 7 END AS op
			FROM %[1]s e WHERE position <= $1 AND version = 1 AND id <> ALL ($2::uuid[])
				AND name IN ('ReciterModified', 'ReciterAvatarUploaded', 'AlbumModified', 'AlbumArtworkUploaded') OFFSET 0) e
			ON e.id = l.id AND (e.op > 4) = l.album AND e.position > l.born AND (l.died IS NULL OR e.position < l.died)
		GROUP BY 1, 2, 3, 4, 5),
	parts AS (
		SELECT album, id, born AS position, true AS birth, last IS NULL AS updates, first IS NULL AS first, second IS NULL AS second, third IS NULL AS third FROM states UNION ALL
		SELECT album, id, last, false, true, first = last, second = last, third = last FROM states WHERE last IS NOT NULL UNION ALL
		SELECT album, id, first, false, false, true, false, false FROM states WHERE first < last UNION ALL
		SELECT album, id, second, false, false, false, true, false FROM states WHERE second < last UNION ALL
		SELECT album, id, third, false, false, false, false, true FROM states WHERE third < last)
	SELECT lives.*, parts.* FROM (SELECT count(*) FILTER (WHERE NOT album) AS reciters, count(*) FILTER (WHERE album) AS albums, coalesce(sum(` + ofLives + `), 0)::text
			FROM (SELECT *, ` + seed + ` AS h, 1 + changes + (died IS NOT NULL)::int AS version, died IS NOT NULL AS deleted FROM states) s) lives,
		(SELECT ` + textSum("CASE WHEN album THEN a->>'title' ELSE a->>'name' END", 1, "first") + `,
			` + textSum("CASE WHEN album THEN a->>'year' ELSE a->>'description' END", 2, "second") + `,
			` + textSum("CASE WHEN name IN ('ReciterAvatarUploaded', 'AlbumArtworkUploaded') THEN payload->>'path' WHEN album THEN a->>'artwork' ELSE a->>'avatar' END", 3, "third") + `,
			` + timeSum("recorded_at", 4, "birth") + `, ` + timeSum("recorded_at", 5, "updates") + `
		FROM (SELECT p.*, uuid_hash_extended(p.id, p.album::int) AS h, e.name, e.payload, e.payload->'attributes' AS a, e.recorded_at FROM parts p JOIN %[1]s e ON e.position = p.position OFFSET 0) p) parts`

// sumOfRows reads the revisions twice: to number those of each entity, and to
// hold the last ones to the rows and to add them up.
var sumOfRows = `WITH numbered AS MATERIALIZED (SELECT entity, max(version) AS version, count(*) AS revisions,
			max(version) FILTER (WHERE strpos(content::text, '"deleted"') > 0 AND content->>'deleted' = 'true') AS deletion,
			min(version) <> 1 OR max(version) <> count(*) OR sum(version) <> count(*) * (count(*) + 1) / 2
				OR sum(version::bigint * version) <> count(*) * (count(*) + 1) * (2 * count(*) + 1) / 6 AS broken
		FROM revisions GROUP BY 1),
	last AS MATERIALIZED (SELECT album, id, version, deletion IS NOT NULL AS deleted, made_at, c->>'id' AS own_id, (c->>'reciter_id')::uuid AS reciter_id, c->>'slug' AS slug,
			CASE WHEN album THEN c->>'title' ELSE c->>'name' END AS first, CASE WHEN album THEN c->>'year' ELSE c->>'description' END AS second,
			CASE WHEN album THEN c->>'artwork' ELSE c->>'avatar' END AS third, (c->>'created_at')::timestamptz AS created_at, (c->>'updated_at')::timestamptz AS updated_at
		FROM (SELECT starts_with(r.entity, 'album:') AS album, substr(r.entity, strpos(r.entity, ':') + 1)::uuid AS id, r.version, n.deletion, r.created_at AS made_at, r.content::jsonb AS c
			FROM revisions r JOIN numbered n ON n.entity = r.entity AND n.version = r.version OFFSET 0) r)
	SELECT account.*, numbers.broken, numbers.continued, numbers.unknown,
		(SELECT count(*) FROM (SELECT * FROM last WHERE NOT album) r FULL JOIN reciters e ON r.id = e.id WHERE r.id IS NULL OR r.deleted <> (e.id IS NULL) OR e.id IS NOT NULL AND
			(r.version <> e.revision OR r.own_id IS DISTINCT FROM e.id::text OR r.first IS DISTINCT FROM e.name OR r.slug IS DISTINCT FROM e.slug OR r.second IS DISTINCT FROM e.description
			OR r.third IS DISTINCT FROM e.avatar OR r.created_at IS DISTINCT FROM e.created_at OR r.updated_at IS DISTINCT FROM e.updated_at)),
		(SELECT count(*) FROM (SELECT * FROM last WHERE album) r FULL JOIN albums e ON r.id = e.id WHERE r.id IS NULL OR r.deleted <> (e.id IS NULL) OR e.id IS NOT NULL AND
			(r.version <> e.revision OR r.own_id IS DISTINCT FROM e.id::text OR r.reciter_id IS DISTINCT FROM e.reciter_id OR r.first IS DISTINCT FROM e.title OR r.second IS DISTINCT FROM e.year
			OR r.third IS DISTINCT FROM e.artwork OR r.created_at IS DISTINCT FROM e.created_at OR r.updated_at IS DISTINCT FROM e.updated_at)),
		(SELECT count(*) FROM tombstones t FULL JOIN (SELECT id, min(made_at) AS earliest, max(made_at) AS latest FROM last WHERE deleted GROUP BY 1) r ON r.id = t.id
			WHERE t.id IS NULL OR r.id IS NULL OR t.deleted_at NOT IN (r.earliest, r.latest)),
		numbers.revisions, (SELECT count(*) FROM reciters), (SELECT count(*) FROM albums), (SELECT count(*) FROM tombstones)
	FROM (SELECT count(*) FILTER (WHERE broken) AS broken, count(*) FILTER (WHERE deletion < version) AS continued,
			count(*) FILTER (WHERE NOT starts_with(entity, 'reciter:') AND NOT starts_with(entity, 'album:')) AS unknown, coalesce(sum(revisions), 0)::bigint AS revisions FROM numbered) numbers,
		(SELECT count(*) FILTER (WHERE NOT album) AS reciters, count(*) FILTER (WHERE album) AS albums, coalesce(sum(` + ofLives + `), 0)::text,
			` + textSum("first", 1, "") + `, ` + textSum("second", 2, "") + `, ` + textSum("third", 3, "") + `, ` + timeSum("created_at", 4, "") + `, ` + timeSum("updated_at", 5, "") + `
		FROM (SELECT *, ` + seed + ` AS h FROM last) last) account`
