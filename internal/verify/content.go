package verify

import (
	"context"
	"fmt"
	"strings"
)

// content compares what the log makes of a kind of entity, told by one
// statement in the source, with the last revision of every such entity, living
// or deleted. Together with the invariants, which compare the last revisions
// with the rows, it covers the rows themselves.
//
// The statement does not go through the events one by one as the engine does.
// It finds when each entity was born and when it died, and then the latest
// change of each attribute in between: the greatest pair of the position, as
// text of one width, and the value.
type content struct {
	name, unit, prefix string
	columns            []string
	// log yields id and columns in the order of the id; its arguments are the
	// position, the skipped events, and the reciters and albums that were refused.
	log string
	// attributes are the columns as they are in a revision's content.
	attributes []string
}

// moment is a time as text, the same on every server.
func moment(expression string) string {
	return "to_char((" + expression + ")::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
}

// born and died of the reciters. A reciter is born at its first creation and
// dies at its first deletion after that; an id lives once.
const reciterLives = `
	e AS NOT MATERIALIZED (SELECT position, lpad(position::text, 19, '0') COLLATE "C" AS place, name, recorded_at, (payload->>'id')::uuid AS id, payload->'attributes' AS a, payload->>'path' AS path,
			(payload->>'reciterId')::uuid AS reciter_id
		FROM %s e WHERE position <= $1 AND version = 1 AND id <> ALL ($2::uuid[])),
	refused_reciters AS (SELECT unnest($3::uuid[]) AS id),
	refused_albums AS (SELECT unnest($4::uuid[]) AS id),
	reciter_births AS (SELECT DISTINCT ON (id) id, position AS born, recorded_at, a FROM e
		WHERE name = 'ReciterCreated' AND id NOT IN (SELECT id FROM refused_reciters) ORDER BY id, position),
	reciters AS (SELECT b.id, b.born, b.recorded_at, b.a, min(d.position) AS died FROM reciter_births b
		LEFT JOIN e d ON d.name = 'ReciterDeleted' AND d.id = b.id AND d.position > b.born GROUP BY 1, 2, 3, 4)`

var contents = []content{
	{
		name: "reciters-content", unit: "reciters", prefix: "reciter:",
		columns: []string{"alive", "revision", "name", "description", "avatar", "created_at", "updated_at"},
		log: `WITH ` + reciterLives + `,
			changes AS (SELECT c.id, count(*) AS n, max(ARRAY[c.place, ` + moment("c.recorded_at") + `]) AS latest,
				max(ARRAY[c.place, c.a->>'name']) FILTER (WHERE c.name = 'ReciterModified' AND c.a->>'name' IS NOT NULL) AS name,
				max(ARRAY[c.place, c.a->>'description']) FILTER (WHERE c.name = 'ReciterModified' AND c.a ? 'description') AS description,
				max(ARRAY[c.place, CASE c.name WHEN 'ReciterModified' THEN c.a->>'avatar' ELSE c.path END])
					FILTER (WHERE c.name = 'ReciterAvatarUploaded' OR c.a ? 'avatar') AS avatar
				FROM reciters r JOIN e c ON c.id = r.id AND c.position > r.born AND (r.died IS NULL OR c.position < r.died)
				WHERE c.name IN ('ReciterModified', 'ReciterAvatarUploaded') GROUP BY 1)
			SELECT r.id::text, ARRAY[(r.died IS NULL)::text, (1 + coalesce(c.n, 0) + (r.died IS NOT NULL)::int)::text, coalesce(c.name[2], r.a->>'name'),
				CASE WHEN c.description IS NULL THEN r.a->>'description' ELSE c.description[2] END,
				CASE WHEN c.avatar IS NULL THEN r.a->>'avatar' ELSE c.avatar[2] END,
				` + moment("r.recorded_at") + `, coalesce(c.latest[2], ` + moment("r.recorded_at") + `)]
			FROM reciters r LEFT JOIN changes c ON c.id = r.id ORDER BY r.id`,
		attributes: []string{"name", "description", "avatar"},
	},
	{
		name: "albums-content", unit: "albums", prefix: "album:",
		columns: []string{"alive", "revision", "reciter_id", "title", "year", "artwork", "created_at", "updated_at"},
		// An album is born at its first creation while its reciter lives, and
		// dies with it at the latest.
		log: `WITH ` + reciterLives + `,
			album_births AS (SELECT DISTINCT ON (c.id) c.id, c.position AS born, c.recorded_at, c.a, c.reciter_id, r.died AS reciter_died FROM e c
				JOIN reciters r ON r.id = c.reciter_id AND r.born < c.position AND (r.died IS NULL OR c.position < r.died)
				WHERE c.name = 'AlbumCreated' AND c.id NOT IN (SELECT id FROM refused_albums) ORDER BY c.id, c.position),
			albums AS (SELECT b.id, b.born, b.recorded_at, b.a, b.reciter_id, least(min(d.position), b.reciter_died) AS died FROM album_births b
				LEFT JOIN e d ON d.name = 'AlbumDeleted' AND d.id = b.id AND d.position > b.born GROUP BY 1, 2, 3, 4, 5, b.reciter_died),
			changes AS (SELECT c.id, count(*) AS n, max(ARRAY[c.place, ` + moment("c.recorded_at") + `]) AS latest,
				max(ARRAY[c.place, c.a->>'title']) FILTER (WHERE c.name = 'AlbumModified' AND c.a->>'title' IS NOT NULL) AS title,
				max(ARRAY[c.place, c.a->>'year']) FILTER (WHERE c.name = 'AlbumModified' AND c.a->>'year' IS NOT NULL) AS year,
				max(ARRAY[c.place, CASE c.name WHEN 'AlbumModified' THEN c.a->>'artwork' ELSE c.path END])
					FILTER (WHERE c.name = 'AlbumArtworkUploaded' OR c.a ? 'artwork') AS artwork
				FROM albums b JOIN e c ON c.id = b.id AND c.position > b.born AND (b.died IS NULL OR c.position < b.died)
				WHERE c.name IN ('AlbumModified', 'AlbumArtworkUploaded') GROUP BY 1)
			SELECT b.id::text, ARRAY[(b.died IS NULL)::text, (1 + coalesce(c.n, 0) + (b.died IS NOT NULL)::int)::text, b.reciter_id::text,
				coalesce(c.title[2], b.a->>'title'), coalesce(c.year[2], b.a->>'year'),
				CASE WHEN c.artwork IS NULL THEN b.a->>'artwork' ELSE c.artwork[2] END,
				` + moment("b.recorded_at") + `, coalesce(c.latest[2], ` + moment("b.recorded_at") + `)]
			FROM albums b LEFT JOIN changes c ON c.id = b.id ORDER BY b.id`,
		attributes: []string{"reciter_id", "title", "year", "artwork"},
	},
}

// revisions yields what log does, from the last revisions.
func (c content) revisions() string {
	columns := []string{"(content->>'deleted' IS DISTINCT FROM 'true')::text", "version::text"}
	for _, attribute := range c.attributes {
		columns = append(columns, "content->>'"+attribute+"'")
	}
	for _, name := range []string{"created_at", "updated_at"} {
		columns = append(columns, moment("content->>'"+name+"'"))
	}
	return fmt.Sprintf("SELECT substr(entity, %[1]d), ARRAY[%[2]s] FROM %[3]s r ORDER BY substr(entity, %[1]d)::uuid", len(c.prefix)+1,
		strings.Join(columns, ", "), fmt.Sprintf(lastRevisions, c.prefix))
}

func (c content) check(ctx context.Context, in *inspection) (Check, error) {
	if check, ok := in.settled.check(c.name, c.unit); ok {
		return check, nil
	}
	expected, err := in.source.Query(ctx, fmt.Sprintf(c.log, in.events()), in.checkpoint.Position, in.skipped(), in.log.refusedReciters, in.log.refusedAlbums)
	if err != nil {
		return Check{}, err
	}
	defer expected.Close()
	found, err := in.database.Query(ctx, c.revisions())
	if err != nil {
		return Check{}, err
	}
	defer found.Close()
	return c.compare(newList[[]*string](expected), newList[[]*string](found))
}

// compare walks along both lists and holds one entity of each.
func (c content) compare(expected, found *list[[]*string]) (Check, error) {
	var compared, faults int64
	var keys samples
	fault := func(id, what string) {
		faults++
		keys.note(c.prefix + id + " " + what)
	}
	err := walk(expected, found, steps[[]*string]{
		missing: func(id string) {
			compared++
			fault(id, "is missing")
		},
		extra: func(id string) {
			compared++
			fault(id, "is not in the log")
		},
		both: func(id string, expected, found []*string) {
			compared++
			if differing := c.differing(expected, found); len(differing) > 0 {
				fault(id, "differs in "+strings.Join(differing, ", "))
			}
		},
	})
	if err != nil {
		return Check{}, err
	}
	if faults > 0 {
		return fail(compared, c.unit, faults, keys.noted, "%d of %d %s are not what the log makes of them", faults, compared, c.unit), nil
	}
	return pass(compared, c.unit), nil
}

func (c content) differing(expected, found []*string) []string {
	var names []string
	for i, name := range c.columns {
		a, b := expected[i], found[i]
		if (a == nil) != (b == nil) || a != nil && *a != *b {
			names = append(names, name)
		}
	}
	return names
}
