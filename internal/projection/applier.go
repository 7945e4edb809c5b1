package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// applier applies chunks of events to a version's database, each in one
// transaction with the checkpoint.
type applier struct {
	*session
	model      *Model
	projectors []bookkeeping
	handlers   map[Kind][]int
	projected  *Appends
	skipped    *Appends
	outcomes   map[int]map[Outcome]int64
}

// bookkeeping is what is noted of each event that a projector handles.
type bookkeeping struct {
	projector Projector
	name      string
	// namespace is the space that the ids of its projected_events are derived in.
	namespace uuid.UUID
}

var projectedNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/projected_events"))

func (s *session) applier() *applier {
	a := &applier{session: s,
		projected: NewAppends("projected_events", "id", "event_id", "projector", "projected_at"),
		skipped:   NewAppends("skipped_events", "position", "event_id", "name", "version"),
	}
	a.renew()
	return a
}

// renew begins with a fresh model, without the rows of a chunk that failed.
func (a *applier) renew() {
	a.model = a.NewModel()
	a.handlers = a.model.handlers()
	a.projectors = a.projectors[:0]
	for _, p := range a.model.Projectors {
		a.projectors = append(a.projectors, bookkeeping{p, p.Name(), uuid.NewSHA1(projectedNamespace, []byte(p.Name()))})
	}
	a.reset()
}

func (a *applier) reset() {
	for _, t := range a.tables() {
		t.reset()
	}
	a.outcomes = map[int]map[Outcome]int64{}
}

func (a *applier) tables() []Table {
	return append(append([]Table{}, a.model.Tables...), a.projected, a.skipped)
}

// apply brings the database from the checkpoint to the last of the events. At
// an event that cannot be applied it stops after the one before and returns a
// [*Poison].
func (a *applier) apply(ctx context.Context, events []Event) error {
	good := events
	var poison error
	for i := range events {
		if events[i].problem != "" {
			good, poison = events[:i], events[i].poison(a.firstHandler(&events[i]), events[i].problem)
			break
		}
	}
	err := a.commit(ctx, good)
	if found, ok := errors.AsType[*Poison](err); ok {
		return a.applyBefore(ctx, good, found)
	}
	if err != nil {
		return err
	}
	return poison
}

// firstHandler is the projector that an event would have come to first, empty
// if none knows such events.
func (a *applier) firstHandler(e *Event) string {
	if handlers := a.handlers[e.Kind()]; len(handlers) > 0 {
		return a.projectors[handlers[0]].name
	}
	return ""
}

// applyBefore applies what comes before an event that a projector refused.
func (a *applier) applyBefore(ctx context.Context, events []Event, poison *Poison) error {
	a.renew()
	for i := range events {
		if events[i].Position == poison.Position {
			events = events[:i]
			break
		}
	}
	if err := a.commit(ctx, events); err != nil {
		return err
	}
	return poison
}

// commit applies the events in one transaction.
func (a *applier) commit(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1].Position
	next := a.checkpoint
	next.Position, next.Tail = last, extendTail(a.checkpoint.Tail, events)
	err := pgx.BeginFunc(ctx, a.database, func(pgx.Tx) error {
		if err := a.advance(ctx, next); err != nil {
			return err
		}
		if err := a.load(ctx, events); err != nil {
			return err
		}
		if err := a.project(events); err != nil {
			return err
		}
		return a.flush(ctx)
	})
	if err != nil {
		a.reset()
		return fmt.Errorf("apply events %d to %d: %w", events[0].Position, last, err)
	}
	a.checkpoint = next
	a.count(events)
	for _, t := range a.tables() {
		t.settle()
	}
	clear(a.outcomes)
	return nil
}

// advance moves the checkpoint, or finds that it is no longer where this
// applier left it.
func (s *session) advance(ctx context.Context, next Checkpoint) error {
	tag, err := s.database.Exec(ctx, `UPDATE checkpoint SET position = $1, stage = $2, target = $3, tail = $4, updated_at = now()
		WHERE position = $5 AND epoch = $6`, next.Position, next.Stage, next.Target, next.Tail, s.checkpoint.Position, s.checkpoint.Epoch)
	if err != nil {
		return fmt.Errorf("move the checkpoint: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return &TakenOverError{Epoch: s.checkpoint.Epoch}
	}
	return nil
}

// load asks the projectors for the rows they need until they need no more.
func (a *applier) load(ctx context.Context, events []Event) error {
	for {
		for i := range events {
			if events[i].skipped {
				continue
			}
			for _, p := range a.handlers[events[i].Kind()] {
				a.projectors[p].projector.Needs(&events[i])
			}
		}
		more := false
		for _, t := range a.model.Tables {
			found, err := t.load(ctx, a.database)
			if err != nil {
				return err
			}
			more = more || found
		}
		if !more {
			return nil
		}
	}
}

// project applies the events to the rows in memory.
func (a *applier) project(events []Event) error {
	now := time.Now()
	for i := range events {
		e := &events[i]
		if e.skipped {
			a.noteSkipped(e)
			continue
		}
		for n, p := range a.handlers[e.Kind()] {
			b := &a.projectors[p]
			outcome, err := b.projector.Apply(e)
			if err != nil {
				return e.poison(b.name, err.Error())
			}
			if outcome != "" {
				a.noteOutcome(p, outcome)
			}
			row := a.projected.Row()
			row.UUID(e.projected[n])
			row.UUID(e.ID)
			row.Text(b.name)
			row.Time(now)
		}
	}
	for _, t := range a.model.Tables {
		if err := t.fault(); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) noteSkipped(e *Event) {
	row := a.skipped.Row()
	row.Int64(e.Position)
	row.UUID(e.ID)
	row.Text(e.Name)
	row.Int16(e.Version)
}

func (a *applier) noteOutcome(projector int, outcome Outcome) {
	if a.outcomes[projector] == nil {
		a.outcomes[projector] = map[Outcome]int64{}
	}
	a.outcomes[projector][outcome]++
}

func (a *applier) flush(ctx context.Context) error {
	for _, t := range a.tables() {
		if err := t.flush(ctx, a.database); err != nil {
			return err
		}
	}
	for projector, counts := range a.outcomes {
		for outcome, n := range counts {
			_, err := a.database.Exec(ctx, `INSERT INTO outcomes AS o (projector, outcome, events) VALUES ($1, $2, $3)
				ON CONFLICT (projector, outcome) DO UPDATE SET events = o.events + excluded.events`,
				a.projectors[projector].name, string(outcome), n)
			if err != nil {
				return fmt.Errorf("count outcomes: %w", err)
			}
		}
	}
	return nil
}

// count adds what was committed to the run's result and progress.
func (a *applier) count(events []Event) {
	a.result.Position = a.checkpoint.Position
	for i := range events {
		if events[i].skipped {
			a.result.Skipped++
		} else {
			a.result.Events++
		}
	}
	a.progress.moved(a.checkpoint.Position, int64(len(events)), a.result.Skipped)
	for projector, counts := range a.outcomes {
		name := a.projectors[projector].name
		if a.result.Outcomes[name] == nil {
			a.result.Outcomes[name] = map[Outcome]int64{}
		}
		for outcome, n := range counts {
			a.result.Outcomes[name][outcome] += n
		}
	}
}

// extendTail keeps the last events applied.
func extendTail(tail []eventlog.Mark, events []Event) []eventlog.Mark {
	next := make([]eventlog.Mark, 0, tailLength)
	if keep := tailLength - len(events); keep > 0 {
		next = append(next, tail[max(len(tail)-keep, 0):]...)
	}
	for i := range events[max(len(events)-tailLength, 0):] {
		e := &events[max(len(events)-tailLength, 0)+i]
		next = append(next, eventlog.Mark{Position: e.Position, ID: e.ID})
	}
	return next
}
