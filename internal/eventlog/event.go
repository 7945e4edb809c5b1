package eventlog

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Event is one entry of the log as it was recorded.
type Event struct {
	// Position orders the log. Positions grow but may have holes.
	Position   int64
	ID         uuid.UUID
	Name       string
	Version    int16
	Payload    json.RawMessage
	RecordedAt time.Time
}

// NewEvent is an event that is about to be appended. The database gives it
// its position and its time, so that no writer can choose either.
type NewEvent struct {
	ID      uuid.UUID
	Name    string
	Version int16
	Payload json.RawMessage
}
