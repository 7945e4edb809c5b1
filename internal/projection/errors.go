package projection

import (
	"fmt"

	"github.com/google/uuid"
)

// Poison is an event that this edition cannot get past: its kind is unknown
// or its payload is not what that kind promises. It never holds the payload.
type Poison struct {
	Position  int64     `json:"position"`
	EventID   uuid.UUID `json:"eventId"`
	Name      string    `json:"name"`
	Version   int16     `json:"version"`
	Projector string    `json:"projector,omitempty"`
	Reason    string    `json:"reason"`
	// Unknown says that the edition does not know such events at all, because a
	// newer one wrote it.
	Unknown bool `json:"unknown,omitempty"`
}

func (p *Poison) Error() string {
	where := ""
	if p.Projector != "" {
		where = " in projector " + p.Projector
	}
	return fmt.Sprintf("event %s at position %d (%s v%d)%s: %s; correct the edition, or pass over the event with spec.replay.skipEvents",
		p.EventID, p.Position, p.Name, p.Version, where, p.Reason)
}

// StageError says that the database is not in the stage a command needs.
type StageError struct {
	Stage   Stage
	Message string
}

func (e *StageError) Error() string { return e.Message }

// TakenOverError says that another applier works on the database now. Nothing
// was applied twice.
type TakenOverError struct{ Epoch int64 }

func (e *TakenOverError) Error() string {
	return fmt.Sprintf("another process has taken over this database (this one held epoch %d); it goes on there", e.Epoch)
}

// PooledError says that a connection goes through a pooler that gives each
// transaction another session.
type PooledError struct{ Database string }

func (e *PooledError) Error() string {
	return fmt.Sprintf("the connection to %s goes through a pooler; replay and follow hold a lock in their session and need a direct connection", e.Database)
}

// UndeclaredError says that a projector looked at a row it had not asked for,
// a mistake in the edition.
type UndeclaredError struct{ Table, Key string }

func (e *UndeclaredError) Error() string {
	return fmt.Sprintf("a projector looked at table %s by %s without asking for it", e.Table, e.Key)
}
