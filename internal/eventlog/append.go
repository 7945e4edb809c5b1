package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
)

// MaxPayload is the largest payload that [Log.Append] accepts, in bytes. It
// bounds what one event can cost every reader.
const MaxPayload = 1 << 20

// Append adds events to the end of the log and returns their positions, in
// the order of the events. In the caller's transaction they appear when it
// commits; on a plain connection all of them appear at once or none does.
//
// It returns a [*DuplicateIDError] or a [*PayloadError] when an event cannot
// be stored. A transaction is then aborted, as after any failed statement.
func (l *Log) Append(ctx context.Context, db DB, events ...NewEvent) ([]int64, error) {
	if err := l.Appendable(); err != nil {
		return nil, err
	}
	for _, e := range events {
		if err := l.acceptable(e); err != nil {
			return nil, err
		}
	}
	switch len(events) {
	case 0:
		return nil, nil
	case 1:
		return l.appendOne(ctx, db, events[0])
	default:
		return l.appendMany(ctx, db, events)
	}
}

func (l *Log) appendOne(ctx context.Context, db DB, e NewEvent) ([]int64, error) {
	// Text keeps the driver from encoding a json.RawMessage a second time.
	args := []any{e.ID, e.Name, string(e.Payload)}
	if l.table.Version != "" {
		args = append(args, e.Version)
	}
	var position int64
	if err := db.QueryRow(ctx, l.sql.appendOne, args...).Scan(&position); err != nil {
		return nil, l.appendError(err, e)
	}
	return []int64{position}, nil
}

func (l *Log) appendMany(ctx context.Context, db DB, events []NewEvent) ([]int64, error) {
	ids := make([]uuid.UUID, len(events))
	names := make([]string, len(events))
	payloads := make([]string, len(events))
	versions := make([]int16, len(events))
	for i, e := range events {
		ids[i], names[i], payloads[i], versions[i] = e.ID, e.Name, string(e.Payload), e.Version
	}
	rows, err := db.Query(ctx, l.sql.appendMany, ids, names, payloads, versions)
	if err != nil {
		return nil, l.appendError(err, NewEvent{})
	}
	defer rows.Close()
	positions := make([]int64, 0, len(events))
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return nil, fmt.Errorf("read the positions of appended events: %w", err)
		}
		positions = append(positions, position)
	}
	if err := rows.Err(); err != nil {
		return nil, l.appendError(err, NewEvent{})
	}
	return positions, nil
}

// Appendable returns a [*PreconditionError] for a log whose events only its
// application knows how to write.
func (l *Log) Appendable() error {
	if l.table.ID == "" || len(l.table.Inserted) > 0 {
		return refuse(ReasonShape, "the log %s is written by its own application only: its description has no ids, or further columns to write", l.sql.relation)
	}
	return nil
}

// acceptable finds what can be known before asking the server, so that the
// error names the event.
func (l *Log) acceptable(e NewEvent) error {
	reason := ""
	switch {
	case len(e.Payload) > MaxPayload:
		reason = fmt.Sprintf("it is larger than %d bytes", MaxPayload)
	case !utf8.Valid(e.Payload):
		reason = "it is not valid UTF-8"
	case !json.Valid(e.Payload):
		reason = "it is not valid JSON"
	case l.table.Version == "" && e.Version != 1:
		reason = "this log has no column for versions, so only version 1 can be stored"
	}
	if reason == "" {
		return nil
	}
	return &PayloadError{ID: e.ID, Name: e.Name, Reason: reason}
}

// SQLSTATE codes that tell what is wrong with an event.
const (
	uniqueViolation           = "23505"
	untranslatableCharacter   = "22P05"
	characterNotInRepertoire  = "22021"
	invalidTextRepresentation = "22P02"
	numericValueOutOfRange    = "22003"
	statementTooComplex       = "54001"
	programLimitExceeded      = "54000"
	insufficientPrivilege     = "42501"
	undefinedTable            = "42P01"
)

var idInDetail = regexp.MustCompile(`=\(([0-9a-f-]{36})\)`)

// appendError turns the server's refusal into an error a caller can decide on.
func (l *Log) appendError(err error, e NewEvent) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Errorf("append to the log: %w", err)
	}
	switch refused.Code {
	case uniqueViolation:
		id := e.ID
		if found := idInDetail.FindStringSubmatch(refused.Detail); found != nil {
			id, _ = uuid.Parse(found[1])
		}
		return &DuplicateIDError{ID: id}
	case untranslatableCharacter:
		return &PayloadError{ID: e.ID, Name: e.Name, Reason: `it holds a character that jsonb cannot store (\u0000)`}
	case invalidTextRepresentation, characterNotInRepertoire, programLimitExceeded, numericValueOutOfRange,
		statementTooComplex:
		return &PayloadError{ID: e.ID, Name: e.Name, Reason: "jsonb refuses it (" + refused.Code + ")"}
	case insufficientPrivilege:
		return refuse(ReasonRights, "the role may not append to %s; run %s", l.sql.relation, l.grantInsert("<role>"))
	case undefinedTable:
		return l.absent()
	}
	return fmt.Errorf("append to the log: %w", err)
}
