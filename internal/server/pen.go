package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

var (
	// errMayNotWrite is a version whose right to append is not there: not yet,
	// or not any more. The log cannot tell which.
	errMayNotWrite = errors.New("this version may not append to the log")
	errDuplicate   = errors.New("an event with this id is in the log already")
)

// pen appends events to the log.
type pen struct {
	log    *eventlog.Log
	source *pgxpool.Pool
	byID   string
	// wrote says that this process has appended before.
	wrote atomic.Bool
}

func newPen(log *eventlog.Log, source *pgxpool.Pool) *pen {
	return &pen{log: log, source: source, byID: "SELECT e.position, e.name, e.payload FROM " + log.Rows() + " AS e WHERE e.id = $1"}
}

// recorded is an event that a key names.
type recorded struct {
	position int64
	name     string
	payload  recordedPayload
}

type recordedPayload struct {
	ID         uuid.UUID          `json:"id"`
	ReciterID  uuid.UUID          `json:"reciterId"`
	Attributes map[string]*string `json:"attributes"`
	Path       string             `json:"path"`
}

// append writes one event. A connection that breaks leaves open whether the
// event is in the log; because its id is unique, trying again is safe. It is done
// over a new connection, which may come to another server.
func (p *pen) append(ctx context.Context, event eventlog.NewEvent) (int64, error) {
	position, err := p.attempt(ctx, event)
	if err == nil || !isOutage(err) || ctx.Err() != nil {
		return position, err
	}
	p.source.Reset()
	position, err = p.attempt(ctx, event)
	if errors.Is(err, errDuplicate) {
		first, err := p.mustFind(ctx, event.ID)
		if err != nil {
			return 0, err
		}
		return first.position, nil
	}
	return position, err
}

func (p *pen) attempt(ctx context.Context, event eventlog.NewEvent) (int64, error) {
	positions, err := p.log.Append(ctx, p.source, event)
	if err == nil {
		p.wrote.Store(true)
		return positions[0], nil
	}
	var duplicate *eventlog.DuplicateIDError
	var refused *eventlog.PreconditionError
	switch {
	case errors.As(err, &duplicate):
		return 0, errDuplicate
	case errors.As(err, &refused) && refused.Reason == eventlog.ReasonRights:
		return 0, errMayNotWrite
	}
	return 0, fmt.Errorf("append %s: %w", event.Name, err)
}

// find looks an event up by its id; nil when the log does not have it.
func (p *pen) find(ctx context.Context, id uuid.UUID) (*recorded, error) {
	var found recorded
	var payload []byte
	err := p.source.QueryRow(ctx, p.byID, id).Scan(&found.position, &found.name, &payload)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the event of an idempotency key: %w", err)
	}
	if err := json.Unmarshal(payload, &found.payload); err != nil {
		// Not an event of ours: no command can be the same as it.
		found.name = ""
	}
	return &found, nil
}

// mustFind looks up an event that the log has refused as a duplicate.
func (p *pen) mustFind(ctx context.Context, id uuid.UUID) (*recorded, error) {
	found, err := p.find(ctx, id)
	if err == nil && found == nil {
		return nil, fmt.Errorf("event %s was refused as a duplicate and is not in the log; it must be append-only", id)
	}
	return found, err
}

// same tells whether a recorded event is what this command asked for, as far as
// that can be seen without the database: a modification records only what it
// changed then.
func (c command) same(event *recorded) bool {
	if event.name != c.event {
		return false
	}
	if c.entity != uuid.Nil && event.payload.ID != c.entity {
		return false
	}
	if c.reciter != uuid.Nil && event.payload.ReciterID != c.reciter {
		return false
	}
	if c.path != event.payload.Path {
		return false
	}
	for name, value := range event.payload.Attributes {
		asked, ok := c.attributes[name]
		if !ok && value == nil {
			continue
		}
		if !ok || (asked == nil) != (value == nil) || (asked != nil && *asked != *value) {
			return false
		}
	}
	return true
}

var errOtherCommand = huma.Error422UnprocessableEntity("this Idempotency-Key was used for another command; choose a new UUID")
