package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
)

// Receipt is the answer to a command: its event is in the log. The entity as it
// became can be read once the database has reached the position.
type Receipt struct {
	ID       uuid.UUID `json:"id" format:"uuid" doc:"The entity."`
	Changed  bool      `json:"changed" doc:"False when the entity was like this already and nothing was recorded."`
	Position int64     `json:"position" doc:"The position of the event, also in Nawhas-Position."`
}

type receipt struct {
	Position int64  `header:"Nawhas-Position" doc:"The position of the command's event. Send it with the next read."`
	Location string `header:"Location" doc:"Where a created entity can be read."`
	Body     Receipt
}

// command is what a client asked for, known before any database is read.
type command struct {
	key   uuid.UUID // the event's id; nil when the client gave none
	event string
	// entity is nil when the command creates one or names a reciter by slug.
	entity uuid.UUID
	// reciter is that of a new album, nil when it is named by slug.
	reciter    uuid.UUID
	attributes library.Changes
	path       string
}

// decision is what a command comes to after the checks: an event, or none when
// there is nothing to change.
type decision struct {
	entity   uuid.UUID
	event    *eventlog.NewEvent
	position int64 // of the database that the decision was made on
	// partial says that some of what was asked for is like this already and no
	// part of the event.
	partial bool
}

// submit carries a command out at most once for each key. The key is looked up
// before the checks, because the first attempt may be why they fail now.
func (s *Server) submit(ctx context.Context, c command, decide func(context.Context) (decision, error)) (Receipt, error) {
	if first, err := s.earlier(ctx, c); first != nil || err != nil {
		return receiptOf(first), err
	}
	decided, err := s.decideCurrently(ctx, decide)
	if err != nil {
		return Receipt{}, err
	}
	if decided.event == nil {
		return Receipt{ID: decided.entity, Position: decided.position}, nil
	}
	if c.key != uuid.Nil {
		decided.event.ID = c.key
	}
	position, err := s.pen.append(ctx, *decided.event)
	s.metrics.appended(c.event, err)
	switch {
	case errors.Is(err, errDuplicate):
		return s.repeated(ctx, c, decided.event.ID)
	case errors.Is(err, errMayNotWrite):
		return Receipt{}, elsewhere(s.pen.wrote.Load())
	case err != nil:
		return Receipt{}, err
	}
	return Receipt{ID: decided.entity, Changed: true, Position: position}, nil
}

// decideCurrently takes a refusal, or that all or some of it is nothing to
// change, only from a database that has seen every write acknowledged so far.
// Otherwise an album would be refused because its new reciter is on its way, and
// a change that takes back the last one would be dropped because that one is.
// What is recorded as it was asked for needs no such care: projectors are total.
func (s *Server) decideCurrently(ctx context.Context, decide func(context.Context) (decision, error)) (decision, error) {
	decided, err := decide(ctx)
	if err != nil && !isRefusal(err) || err == nil && decided.event != nil && !decided.partial {
		return decided, err
	}
	head, headErr := s.pen.log.Head(ctx, s.pen.source)
	if headErr != nil {
		return decision{}, headErr
	}
	if err == nil && decided.position >= head {
		return decided, nil
	}
	if err := s.await(ctx, head); err != nil {
		return decision{}, err
	}
	return decide(demanding(ctx, head))
}

func isRefusal(err error) bool {
	var status huma.StatusError
	return errors.As(err, &status) && (status.GetStatus() == http.StatusNotFound || status.GetStatus() == http.StatusConflict)
}

// earlier finds the event that this command's key appended before.
func (s *Server) earlier(ctx context.Context, c command) (*recorded, error) {
	if c.key == uuid.Nil {
		return nil, nil
	}
	first, err := s.pen.find(ctx, c.key)
	if first != nil && !c.same(first) {
		return nil, errOtherCommand
	}
	return first, err
}

// repeated answers a command whose key was used while it was being decided.
func (s *Server) repeated(ctx context.Context, c command, id uuid.UUID) (Receipt, error) {
	first, err := s.pen.mustFind(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	if !c.same(first) {
		return Receipt{}, errOtherCommand
	}
	return receiptOf(first), nil
}

func receiptOf(event *recorded) Receipt {
	if event == nil {
		return Receipt{}
	}
	return Receipt{ID: event.payload.ID, Changed: true, Position: event.position}
}

// change is a decision to record the part of what was asked for that is not so
// already.
func (c command) change(entity uuid.UUID, position int64, part library.Changes, make func(uuid.UUID, library.Changes) (eventlog.NewEvent, error)) (decision, error) {
	event, err := make(entity, part)
	return decision{entity: entity, position: position, event: &event, partial: len(part) < len(c.attributes)}, err
}

// appendEvent is a decision to record an event.
func appendEvent(entity uuid.UUID, position int64, event eventlog.NewEvent, err error) (decision, error) {
	return decision{entity: entity, position: position, event: &event}, err
}
