package verify

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// mostLate is how many entities a tail may have whose id another one died with
// in that tail.
const mostLate = 1000

// namesake is an entity and what else died with its id in the tail.
type namesake struct {
	history
	died entity
}

// judgeLate judges the entities that were put off, now that the log can be
// asked for the positions at which their namesakes died.
func (a *audit) judgeLate(ctx context.Context, r *ruling) error {
	if len(r.late) == 0 {
		return nil
	}
	deaths, err := a.deaths(ctx, r.late)
	if err != nil {
		return err
	}
	var batch []history
	for _, late := range r.late {
		position, known := late.end(r.kind, deaths)
		late.long = late.long || !known
		late.events, late.settled = r.kind.withoutCreations(late.events, position), true
		batch = append(batch, late.history)
	}
	return a.judge(ctx, r, batch)
}

// death is a deletion in the log.
type death struct {
	position     int64
	name, id, at string
}

// end is the position of the deletion that ended the namesake: its own, or that
// of the reciter whom it belonged to. It is not known when several fit.
func (n *namesake) end(k *auditedKind, deaths []death) (position int64, known bool) {
	own := auditedAlbums.deleted
	if k.owned {
		own = auditedReciters.deleted
	}
	fitting := 0
	for _, d := range deaths {
		its := d.name == own && d.id == n.id || d.name == auditedReciters.deleted && n.died.reciter != nil && d.id == *n.died.reciter
		if its && d.at == n.died.at {
			position = d.position
			fitting++
		}
	}
	return position, fitting == 1
}

// deaths reads the deletions in the tail of all that is concerned.
func (a *audit) deaths(ctx context.Context, late []namesake) ([]death, error) {
	var ids []string
	for _, n := range late {
		if ids = append(ids, n.id); n.died.reciter != nil {
			ids = append(ids, *n.died.reciter)
		}
	}
	rows, err := a.source.Query(ctx, "SELECT position, name, (payload->>'id')::uuid::text, "+moment("recorded_at")+" FROM "+a.events()+
		" e WHERE position > $1 AND position <= $2 AND name = ANY ($3) AND (payload->>'id')::uuid = ANY ($4::uuid[])",
		a.after, a.checkpoint.Position, []string{auditedReciters.deleted, auditedAlbums.deleted}, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (death, error) {
		var d death
		err := row.Scan(&d.position, &d.name, &d.id, &d.at)
		return d, err
	})
}
