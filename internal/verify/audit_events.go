package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// batchEvents and batchEntities bound what the audit holds in memory.
	batchEvents   = 2000
	batchEntities = 500
	// mostEvents is how many events of one entity the audit follows one by one.
	mostEvents = 10_000
)

// history is an entity with its events in the tail, in their order.
type history struct {
	id     string
	events []happening
	// long says that there are more events than are kept, settled that those are
	// left out which came too late for the id.
	long, settled bool
}

// histories reads the events of the tail that name entities of a kind, and
// gives them on in batches. Events of one entity are never parted.
func (a *audit) histories(ctx context.Context, k *auditedKind, each func(context.Context, []history) error) error {
	rows, err := a.source.Query(ctx, k.sqlOfEvents(a.events()), a.after, a.checkpoint.Position, a.skipped(), k.events())
	if err != nil {
		return err
	}
	defer rows.Close()
	var batch []history
	events := 0
	for rows.Next() {
		var h happening
		if err := rows.Scan(&h.position, &h.name, &h.id, &h.at, &h.reciter, &h.path, &h.given, &h.values); err != nil {
			return err
		}
		if len(batch) == 0 || batch[len(batch)-1].id != h.id {
			if events >= batchEvents || len(batch) >= batchEntities {
				if err := each(ctx, batch); err != nil {
					return err
				}
				batch, events = nil, 0
			}
			batch = append(batch, history{id: h.id})
		}
		current := &batch[len(batch)-1]
		if current.long = len(current.events) >= mostEvents; !current.long {
			current.events = append(current.events, h)
			events++
		}
	}
	if err := rows.Err(); err != nil || len(batch) == 0 {
		return err
	}
	return each(ctx, batch)
}

// sqlOfEvents yields the events of a kind, entity by entity. Its arguments are
// the two ends of the tail, the skipped events, and the names of the events.
func (k *auditedKind) sqlOfEvents(events string) string {
	var given, values []string
	for _, attribute := range k.attributes {
		given = append(given, "coalesce(a ? '"+attribute+"', false)")
		values = append(values, "a->>'"+attribute+"'")
	}
	return fmt.Sprintf(`SELECT position, name, entity::text, %s, reciter::text, path, ARRAY[%s], ARRAY[%s] FROM (
			SELECT position, name, recorded_at, (payload->>'id')::uuid AS entity, (payload->>'reciterId')::uuid AS reciter, payload->>'path' AS path, payload->'attributes' AS a
			FROM %s e WHERE position > $1 AND position <= $2 AND version = 1 AND id <> ALL ($3::uuid[]) AND name = ANY ($4)) e
		ORDER BY entity, position`, moment("recorded_at"), strings.Join(given, ", "), strings.Join(values, ", "), events)
}

// summariseTail counts the events of the tail by kind and finds its earliest time.
func (a *audit) summariseTail(ctx context.Context) error {
	rows, err := a.database.Query(ctx, "SELECT event_id FROM skipped_events WHERE position > $1", a.after-overlap)
	if err != nil {
		return fmt.Errorf("read which events were skipped: %w", err)
	}
	if a.log.skipped, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return fmt.Errorf("read which events were skipped: %w", err)
	}
	if err := a.chooseDigest(ctx); err != nil {
		return err
	}
	var count int64
	var sum string
	err = a.source.QueryRow(ctx, fmt.Sprintf("SELECT count(*), coalesce(sum(%s), 0)::text, coalesce(min(%s), '') FROM %s e WHERE position > $1 AND position <= $2",
		a.digest.of("e.id"), moment("recorded_at"), a.events()), a.after, a.checkpoint.Position).Scan(&count, &sum, &a.since)
	if err != nil {
		return fmt.Errorf("sum up the tail of the log: %w", err)
	}
	whole, err := newTally(count, sum)
	if err != nil {
		return err
	}
	a.evidence.Events, a.evidence.EventsHash = count, whole.sum.Text(16)
	return nil
}
