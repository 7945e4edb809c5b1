package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// overlap is how many positions before the tail the audit looks at once more,
// for events that appeared late.
const overlap = 1000

// booked is an event of the log and who has handled it, or should have.
type booked struct {
	id   uuid.UUID
	kind projection.Kind
}

// checkEvents: each projector has handled exactly the events of the tail that
// it should, and the edition knows them all.
func (a *audit) checkEvents(ctx context.Context) (Check, error) {
	rows, err := a.source.Query(ctx, "SELECT id, name, version FROM "+a.events()+" e WHERE position > $1 AND position <= $2 AND id <> ALL ($3::uuid[])",
		a.after-overlap, a.checkpoint.Position, a.skipped())
	if err != nil {
		return Check{}, err
	}
	defer rows.Close()
	var figure, faults int64
	var keys samples
	note := func(e booked, what string) {
		faults++
		keys.note(fmt.Sprintf("event %s (%s) %s", e.id, e.kind, what))
	}
	var batch []booked
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		figure += int64(len(batch))
		err := a.compareBooks(ctx, batch, note)
		batch = batch[:0]
		return err
	}
	for rows.Next() {
		var e booked
		if err := rows.Scan(&e.id, &e.kind.Name, &e.kind.Version); err != nil {
			return Check{}, err
		}
		if batch = append(batch, e); len(batch) == batchEvents {
			if err := flush(); err != nil {
				return Check{}, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return Check{}, err
	}
	if err := flush(); err != nil {
		return Check{}, err
	}
	if faults > 0 {
		return fail(figure, "events", faults, keys.noted, "%d events were not handled by exactly the projectors that should", faults), nil
	}
	return pass(figure, "events"), nil
}

func (a *audit) compareBooks(ctx context.Context, batch []booked, note func(booked, string)) error {
	ids := make([]uuid.UUID, len(batch))
	for i, e := range batch {
		ids[i] = e.id
	}
	rows, err := a.database.Query(ctx, "SELECT event_id, projector FROM projected_events WHERE event_id = ANY ($1)", ids)
	if err != nil {
		return err
	}
	defer rows.Close()
	found := make(map[uuid.UUID][]string, len(batch))
	for rows.Next() {
		var id uuid.UUID
		var projector string
		if err := rows.Scan(&id, &projector); err != nil {
			return err
		}
		found[id] = append(found[id], projector)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	uses := map[projection.Kind][]string{}
	for _, e := range batch {
		wanted, known := uses[e.kind]
		if !known {
			var ignored bool
			wanted, ignored = useOf(a.model, e.kind)
			if len(wanted) == 0 && !ignored {
				note(e, "is of a kind that this edition does not know")
				continue
			}
			slices.Sort(wanted)
			uses[e.kind] = wanted
		}
		got := found[e.id]
		slices.Sort(got)
		if !slices.Equal(got, wanted) {
			note(e, fmt.Sprintf("was handled by [%s] instead of [%s]", strings.Join(got, " "), strings.Join(wanted, " ")))
		}
	}
	return nil
}
