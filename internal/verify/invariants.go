package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// invariant is something that holds in every version's database whatever the
// log says. Its query returns a key for each row that breaks it.
type invariant struct {
	name, unit string
	// figure counts what is looked at.
	figure string
	faults string
	wrong  string
	// shelves says that it is about tables that only editions with shelves have.
	shelves bool
}

// lastRevisions is the last revision of every entity of a kind. It sorts no
// contents, which are most of the table, and OFFSET keeps each from being
// parsed once for every attribute.
const lastRevisions = `(SELECT entity, version, content, content->>'deleted' = 'true' AS deleted FROM
	(SELECT entity, version, content::jsonb AS content FROM revisions
		JOIN (SELECT entity, max(version) AS version FROM revisions WHERE starts_with(entity, '%s') GROUP BY 1) l USING (entity, version) OFFSET 0) r)`

// deletions are the revisions that say that their entity is gone. Few do, and
// most contents need not be parsed to see it.
const deletions = `SELECT entity, version, created_at FROM revisions WHERE strpos(content::text, '"deleted"') > 0 AND content->>'deleted' = 'true'`

var invariants = []invariant{
	{
		name: "revisions-contiguous", unit: "revisions", figure: "SELECT count(*) FROM revisions",
		faults: `SELECT entity FROM revisions GROUP BY entity HAVING min(version) <> 1 OR max(version) <> count(*)
			OR sum(version) <> count(*) * (count(*) + 1) / 2 OR sum(version::bigint * version) <> count(*) * (count(*) + 1) * (2 * count(*) + 1) / 6`,
		wrong: "entities whose revisions are not numbered from 1 without holes",
	},
	{
		name: "revisions-final", unit: "revisions", figure: "SELECT count(*) FROM revisions",
		faults: `SELECT DISTINCT d.entity FROM revisions r JOIN (` + deletions + `) d USING (entity) WHERE r.version > d.version`,
		wrong:  "entities that have revisions after their deletion",
	},
	{
		name: "reciters-current", unit: "reciters", figure: "SELECT count(*) FROM reciters",
		faults: fmt.Sprintf(`SELECT coalesce(r.entity, 'reciter:' || e.id) FROM `+lastRevisions+` r
			FULL JOIN reciters e ON r.entity = 'reciter:' || e.id
			WHERE coalesce(r.deleted, false) <> (e.id IS NULL) OR r.entity IS NULL OR (e.id IS NOT NULL AND (r.version <> e.revision OR
				r.content->>'id' IS DISTINCT FROM e.id::text OR r.content->>'name' IS DISTINCT FROM e.name OR
				r.content->>'slug' IS DISTINCT FROM e.slug OR r.content->>'description' IS DISTINCT FROM e.description OR
				r.content->>'avatar' IS DISTINCT FROM e.avatar OR (r.content->>'created_at')::timestamptz IS DISTINCT FROM e.created_at OR
				(r.content->>'updated_at')::timestamptz IS DISTINCT FROM e.updated_at))`, "reciter:"),
		wrong: "reciters that differ from their last revision",
	},
	{
		name: "albums-current", unit: "albums", figure: "SELECT count(*) FROM albums",
		faults: fmt.Sprintf(`SELECT coalesce(r.entity, 'album:' || e.id) FROM `+lastRevisions+` r
			FULL JOIN albums e ON r.entity = 'album:' || e.id
			WHERE coalesce(r.deleted, false) <> (e.id IS NULL) OR r.entity IS NULL OR (e.id IS NOT NULL AND (r.version <> e.revision OR
				r.content->>'id' IS DISTINCT FROM e.id::text OR r.content->>'reciter_id' IS DISTINCT FROM e.reciter_id::text OR
				r.content->>'title' IS DISTINCT FROM e.title OR r.content->>'year' IS DISTINCT FROM e.year OR
				r.content->>'artwork' IS DISTINCT FROM e.artwork OR (r.content->>'created_at')::timestamptz IS DISTINCT FROM e.created_at OR
				(r.content->>'updated_at')::timestamptz IS DISTINCT FROM e.updated_at))`, "album:"),
		wrong: "albums that differ from their last revision",
	},
	{
		name: "entities-known", unit: "revisions", figure: "SELECT count(*) FROM revisions",
		faults: `SELECT DISTINCT entity FROM revisions WHERE NOT starts_with(entity, 'reciter:') AND NOT starts_with(entity, 'album:')`,
		wrong:  "revisions of something that is neither a reciter nor an album",
	},
	{
		name: "albums-owned", unit: "albums", figure: "SELECT count(*) FROM albums",
		faults: `SELECT 'album:' || a.id FROM albums a WHERE NOT EXISTS (SELECT FROM reciters r WHERE r.id = a.reciter_id)`,
		wrong:  "albums without a reciter",
	},
	{
		name: "slugs-unique", unit: "reciters", figure: "SELECT count(*) FROM reciters",
		faults: `SELECT 'reciter:' || min(id::text) FROM reciters GROUP BY slug HAVING count(*) > 1`,
		wrong:  "slugs that more than one reciter has",
	},
	{
		name: "tombstones", unit: "tombstones", figure: "SELECT count(*) FROM tombstones",
		faults: `SELECT coalesce(t.id::text, r.id) FROM tombstones t FULL JOIN (SELECT split_part(entity, ':', 2) AS id, array_agg(created_at) AS times
				FROM (` + deletions + `) d GROUP BY 1) r ON r.id = t.id::text
			WHERE t.id IS NULL OR r.id IS NULL OR t.deleted_at <> ALL (r.times)`,
		wrong: "tombstones and deletions that do not fit together",
	},
	{
		name: "shelves-complete", unit: "albums", figure: "SELECT count(*) FROM shelved_albums", shelves: true,
		faults: `SELECT 'album:' || id FROM albums a FULL JOIN shelved_albums s USING (id) WHERE a.reciter_id IS DISTINCT FROM s.reciter_id`,
		wrong:  "albums that are not on their reciter's shelf, or shelved albums that are not there",
	},
	{
		name: "shelves-counted", unit: "shelves", figure: "SELECT count(*) FROM shelves", shelves: true,
		faults: `SELECT 'reciter:' || id FROM (SELECT reciter_id AS id, count(*) AS n FROM albums GROUP BY 1) a
			FULL JOIN shelves s USING (id) WHERE a.n IS DISTINCT FROM s.albums`,
		wrong: "shelves that count another number of albums than there are",
	},
	{
		name: "shelf-slugs-unique", unit: "albums", figure: "SELECT count(*) FROM shelved_albums", shelves: true,
		faults: `SELECT 'album:' || min(id::text) FROM shelved_albums GROUP BY reciter_id, slug HAVING count(*) > 1`,
		wrong:  "slugs that more than one album of a shelf has",
	},
}

func (i invariant) check(ctx context.Context, in *inspection) (Check, error) {
	if check, ok := in.settled.check(i.name, i.unit); ok {
		return check, nil
	}
	var figure int64
	if err := in.database.QueryRow(ctx, i.figure).Scan(&figure); err != nil {
		return Check{}, err
	}
	rows, err := in.database.Query(ctx, i.faults)
	if err != nil {
		return Check{}, err
	}
	var faults int64
	var keys samples
	var key string
	if _, err := pgx.ForEachRow(rows, []any{&key}, func() error {
		faults++
		keys.note(key)
		return nil
	}); err != nil {
		return Check{}, err
	}
	if faults > 0 {
		return fail(figure, i.unit, faults, keys.noted, "%d %s", faults, i.wrong), nil
	}
	return pass(figure, i.unit), nil
}
