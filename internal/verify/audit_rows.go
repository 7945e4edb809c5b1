package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// checkEntities: every entity of a kind that the tail names has the revisions
// that a fold over its events gives, its row is the last of them, and it is
// where it should be and nowhere else.
func (a *audit) checkEntities(ctx context.Context, k *auditedKind) (Check, error) {
	r := &ruling{kind: k}
	err := a.histories(ctx, k, func(ctx context.Context, batch []history) error { return a.judge(ctx, r, batch) })
	if err != nil {
		return Check{}, err
	}
	if err := a.judgeLate(ctx, r); err != nil {
		return Check{}, err
	}
	if r.faults > 0 {
		return fail(r.entities, k.name, r.faults, r.keys.noted, "%d of %d %s that the events name are not what these make of them", r.faults, r.entities, k.name), nil
	}
	return pass(r.entities, k.name), nil
}

// ruling is what was found about the entities of a kind.
type ruling struct {
	kind             *auditedKind
	entities, faults int64
	keys             samples
	// late are entities of which something else with the same id died in the tail:
	// when it did decides whether they could be created.
	late []namesake
}

func (r *ruling) fault(id, what string) {
	r.faults++
	r.keys.note(r.kind.prefix + id + " " + what)
}

// record is what a database has of an entity.
type record struct {
	// revisions are the last ones, in their order.
	revisions []entity
	// namesake is the last revision of something of the other kind with the same
	// id, of revision 0 if there is nothing.
	namesake entity
	row      *entity
	// buried is the time of the tombstone, shelf the reciter on whose shelf an album is.
	buried, shelf *string
}

func (c *record) last() entity {
	if len(c.revisions) == 0 {
		return entity{}
	}
	return c.revisions[len(c.revisions)-1]
}

// buriedWith tells whether the tombstone is of the time of one of the deletions:
// an id has one tombstone.
func (c *record) buriedWith(deleted ...entity) bool {
	return c.buried != nil && slices.ContainsFunc(deleted, func(e entity) bool { return e.deleted && e.at == *c.buried })
}

func (a *audit) judge(ctx context.Context, r *ruling, batch []history) error {
	records, err := a.records(ctx, r.kind, batch)
	if err != nil {
		return err
	}
	if r.kind.owned {
		if err := a.findOwners(ctx, batch, records); err != nil {
			return err
		}
	}
	reciters := map[string]bool{}
	for _, h := range batch {
		found := records[h.id]
		if found.namesake.deleted && !h.settled && r.kind.creates(h.events) {
			if found.namesake.at >= a.since && len(r.late) < mostLate {
				r.late = append(r.late, namesake{history: h, died: found.namesake})
				continue
			}
			h.long = h.long || found.namesake.at >= a.since
			h.events = r.kind.withoutCreations(h.events, 0)
		}
		r.entities++
		if h.long || a.owners.doubtful(h.events, found.last()) {
			a.doubt(r.kind.prefix+h.id, "has too many events, or an id or a reciter that is not plain")
			a.noteDoubt(r.kind, h.id)
			continue
		}
		judged := r.kind.judge(h.events, found.revisions, &a.owners, a.since)
		if judged.suspect != "" {
			a.suspects = append(a.suspects, suspect{r.kind.prefix + h.id, judged.suspect})
			a.noteDoubt(r.kind, h.id)
		}
		if !r.kind.owned {
			a.noteLife(h.id, judged.made)
		}
		if what := firstOf(judged.fault, r.kind.misplaced(found, a.Edition.Shelves)); what != "" {
			r.fault(h.id, what)
		}
		switch last := found.last(); {
		case !r.kind.owned:
			reciters[h.id] = true
		case last.alive() && (last.reciter == nil || !a.owners.standing[*last.reciter]):
			r.fault(h.id, "belongs to a reciter that is not there")
		case last.reciter != nil:
			reciters[*last.reciter] = true
		}
	}
	return a.checkShelves(ctx, r, reciters)
}

// noteDoubt remembers that a reciter's life is not certain.
func (a *audit) noteDoubt(k *auditedKind, id string) {
	if !k.owned {
		a.owners.unsure[id] = true
	}
}

// noteLife remembers when a reciter was born and died in the tail.
func (a *audit) noteLife(id string, made []entity) {
	var l life
	if len(made) > 0 && made[0].version == 1 {
		l.born = made[0].position
	}
	if n := len(made); n > 0 && made[n-1].deleted {
		l.died, l.diedAt = made[n-1].position, made[n-1].at
	}
	if l != (life{}) {
		a.owners.tail[id] = l
	}
}

// misplaced tells whether an entity is not where its last revision says.
func (k *auditedKind) misplaced(c *record, shelves bool) string {
	last := c.last()
	switch {
	case last.alive() && c.row == nil:
		return "has no row"
	case !last.alive() && c.row != nil:
		return "has a row and does not live"
	case (last.deleted || c.namesake.deleted) && !c.buriedWith(last, c.namesake):
		return "has no tombstone of the time of its deletion"
	case !last.deleted && !c.namesake.deleted && c.buried != nil:
		return "has a tombstone and was not deleted"
	}
	if c.row != nil {
		row := *c.row
		row.at = last.at
		columns := k.unlike(&last, &row)
		if !equalText(last.slug, row.slug) {
			columns = append(columns, "slug")
		}
		if len(columns) > 0 {
			return "differs from its last revision in " + strings.Join(columns, ", ")
		}
	}
	if k.owned && shelves {
		var shelf *string
		if last.alive() {
			shelf = last.reciter
		}
		if !equalText(shelf, c.shelf) {
			return "is not on its reciter's shelf, or on one although it does not live"
		}
	}
	return ""
}

// records reads what the database has of the entities.
func (a *audit) records(ctx context.Context, k *auditedKind, batch []history) (map[string]*record, error) {
	found := make(map[string]*record, len(batch))
	ids, lengths := make([]string, len(batch)), make([]int, len(batch))
	for i, h := range batch {
		// One more may come with the reciter's death, and one is built on.
		ids[i], lengths[i] = h.id, len(h.events)+2
		found[h.id] = &record{}
	}
	if err := a.readRevisions(ctx, k, found, ids, lengths); err != nil {
		return nil, err
	}
	if err := a.readRows(ctx, k, found, ids); err != nil {
		return nil, err
	}
	return found, a.readPlaces(ctx, k, found, ids)
}

func (a *audit) readRevisions(ctx context.Context, k *auditedKind, found map[string]*record, ids []string, lengths []int) error {
	var values []string
	for _, attribute := range k.attributes {
		values = append(values, "content->>'"+attribute+"'")
	}
	rows, err := a.database.Query(ctx, fmt.Sprintf(`SELECT w.id, coalesce(o.deleted, false), coalesce(%[7]s, ''), o.reciter, coalesce(r.version, 0),
			coalesce(content->>'deleted' = 'true', false), content->>'reciter_id', ARRAY[%[3]s], coalesce(%[4]s, ''), coalesce(%[5]s, ''), coalesce(%[6]s, ''), content->>'slug'
		FROM unnest($1::text[], $2::int[]) AS w(id, n) LEFT JOIN LATERAL
			(SELECT version, content::jsonb AS content, created_at FROM revisions WHERE entity = '%[2]s' || w.id ORDER BY version DESC LIMIT w.n) r ON true
			LEFT JOIN LATERAL (SELECT content->>'deleted' = 'true' AS deleted, content->>'reciter_id' AS reciter, created_at FROM revisions WHERE entity = '%[1]s' || w.id ORDER BY version DESC LIMIT 1) o ON true
		ORDER BY w.id, r.version`, k.otherPrefix, k.prefix, strings.Join(values, ", "), moment("content->>'created_at'"), moment("content->>'updated_at'"), moment("r.created_at"), moment("o.created_at")), ids, lengths)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var e, namesake entity
		if err := rows.Scan(&id, &namesake.deleted, &namesake.at, &namesake.reciter, &e.version, &e.deleted, &e.reciter, &e.values, &e.created, &e.updated, &e.at, &e.slug); err != nil {
			return err
		}
		found[id].namesake = namesake
		if e.version > 0 {
			found[id].revisions = append(found[id].revisions, e)
		}
	}
	return rows.Err()
}

func (a *audit) readRows(ctx context.Context, k *auditedKind, found map[string]*record, ids []string) error {
	reciter, slug := "NULL", "slug"
	if k.owned {
		reciter, slug = "reciter_id", "NULL"
	}
	rows, err := a.database.Query(ctx, fmt.Sprintf("SELECT id::text, revision, %s::text, ARRAY[%s], %s, %s, %s::text FROM %s WHERE id = ANY ($1::uuid[])",
		reciter, strings.Join(k.attributes, ", "), moment("created_at"), moment("updated_at"), slug, k.name), ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var e entity
		if err := rows.Scan(&id, &e.version, &e.reciter, &e.values, &e.created, &e.updated, &e.slug); err != nil {
			return err
		}
		found[id].row = &e
	}
	return rows.Err()
}

func (a *audit) readPlaces(ctx context.Context, k *auditedKind, found map[string]*record, ids []string) error {
	err := a.eachPair(ctx, "SELECT id::text, "+moment("deleted_at")+" FROM tombstones WHERE id = ANY ($1::uuid[])", ids,
		func(id, at string) { found[id].buried = &at })
	if err != nil || !k.owned || !a.Edition.Shelves {
		return err
	}
	return a.eachPair(ctx, "SELECT id::text, reciter_id::text FROM shelved_albums WHERE id = ANY ($1::uuid[])", ids,
		func(id, reciter string) { found[id].shelf = &reciter })
}

// findOwners finds out which of the reciters of the albums are there.
func (a *audit) findOwners(ctx context.Context, batch []history, records map[string]*record) error {
	var reciters []string
	for _, h := range batch {
		for _, event := range h.events {
			if event.reciter != nil {
				reciters = append(reciters, *event.reciter)
			}
		}
		if last := records[h.id].last(); last.reciter != nil {
			reciters = append(reciters, *last.reciter)
		}
	}
	slices.Sort(reciters)
	clear(a.owners.standing)
	return a.eachPair(ctx, "SELECT id::text, '' FROM reciters WHERE id = ANY ($1::uuid[])", slices.Compact(reciters),
		func(id, _ string) { a.owners.standing[id] = true })
}

// checkShelves: a reciter that is gone has left no albums, and shelves hold and
// count the albums that there are.
func (a *audit) checkShelves(ctx context.Context, r *ruling, touched map[string]bool) error {
	ids := make([]string, 0, len(touched))
	for id := range touched {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	shelf, shelved := "NULL", "NULL"
	if a.Edition.Shelves {
		shelf, shelved = "(SELECT albums FROM shelves WHERE id = w.id)", "(SELECT count(*) FROM shelved_albums WHERE reciter_id = w.id)"
	}
	rows, err := a.database.Query(ctx, fmt.Sprintf(`SELECT w.id::text, (SELECT count(*) FROM albums WHERE reciter_id = w.id), EXISTS (SELECT FROM reciters WHERE id = w.id), %s::bigint, %s::bigint
		FROM unnest($1::uuid[]) AS w(id)`, shelf, shelved), ids)
	if err != nil {
		return err
	}
	var id string
	var albums int64
	var lives bool
	var counted, placed *int64
	_, err = pgx.ForEachRow(rows, []any{&id, &albums, &lives, &counted, &placed}, func() error {
		switch {
		case !lives && albums > 0:
			r.keys.note(fmt.Sprintf("reciter:%s is gone and has %d albums", id, albums))
			r.faults++
		case a.Edition.Shelves && (*placed != albums || (counted == nil) != (albums == 0) || counted != nil && *counted != albums):
			r.keys.note(fmt.Sprintf("reciter:%s has a shelf that does not hold or count its %d albums", id, albums))
			r.faults++
		}
		return nil
	})
	return err
}

func (a *audit) eachPair(ctx context.Context, sql string, ids []string, each func(id, value string)) error {
	rows, err := a.database.Query(ctx, sql, ids)
	if err != nil {
		return err
	}
	var id, value string
	_, err = pgx.ForEachRow(rows, []any{&id, &value}, func() error {
		each(id, value)
		return nil
	})
	return err
}
