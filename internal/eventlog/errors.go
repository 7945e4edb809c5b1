package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Reason says which condition a log does not meet.
type Reason string

// The reasons of a [PreconditionError].
const (
	// ReasonReplica: the server is a standby and cannot take appends or show locks.
	ReasonReplica Reason = "SourceIsReplica"
	// ReasonLogAbsent: the table does not exist.
	ReasonLogAbsent Reason = "LogAbsent"
	// ReasonShape: columns are missing or have another type.
	ReasonShape Reason = "LogHasAnotherShape"
	// ReasonKeys: the position or the id is not unique.
	ReasonKeys Reason = "LogKeysMissing"
	// ReasonSequence: the position has no sequence, or one that breaks the order.
	ReasonSequence Reason = "SequenceUnsuitable"
	// ReasonRights: the connected role may not do what is asked of it.
	ReasonRights Reason = "RightsMissing"
)

// PreconditionError says why a log cannot be used, and what to do about it.
type PreconditionError struct {
	Reason  Reason
	Message string
}

func (e *PreconditionError) Error() string { return e.Message }

func refuse(reason Reason, format string, args ...any) error {
	return &PreconditionError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// DuplicateIDError is returned when an event with the same id is already in
// the log. Nothing of the append was kept.
type DuplicateIDError struct{ ID uuid.UUID }

func (e *DuplicateIDError) Error() string {
	if e.ID == uuid.Nil {
		return "an event with this id is already in the log"
	}
	return fmt.Sprintf("event %s is already in the log", e.ID)
}

// PayloadError is returned when an event's payload cannot be stored. It names
// the event and never repeats the payload.
type PayloadError struct {
	ID     uuid.UUID
	Name   string
	Reason string
}

func (e *PayloadError) Error() string {
	if e.ID == uuid.Nil {
		return "the payload of an event cannot be stored: " + e.Reason
	}
	return fmt.Sprintf("the payload of event %s (%s) cannot be stored: %s", e.ID, e.Name, e.Reason)
}

// StalledError says which transaction holds the frontier back. It wraps the
// end of the caller's patience.
type StalledError struct {
	PID   int32
	Role  string
	Age   time.Duration
	cause error
}

func (e *StalledError) Error() string {
	h := Holder{PID: e.PID, Role: e.Role}
	if e.Age > 0 {
		h.Since = time.Now().Add(-e.Age)
	}
	return fmt.Sprintf("%s has appended to the log and not finished: %v", h, e.cause)
}

func (e *StalledError) Unwrap() error { return e.cause }

// DivergedError says that the log is not the one a checkpoint was made from:
// events it has applied are gone or replaced.
type DivergedError struct {
	// Position is the first one at which they differ.
	Position int64
	Reason   string
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("the log is not the one this database was built from: at position %d %s", e.Position, e.Reason)
}

// errNotDescribed means that a column changed its type under the reader.
var errNotDescribed = errors.New("the log has another shape than described")

// errNotOrdered would mean that the server broke ORDER BY.
var errNotOrdered = errors.New("the log was read out of order")
