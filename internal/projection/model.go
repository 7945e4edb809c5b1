package projection

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// Kind is a shape of event: its name and version.
type Kind struct {
	Name    string
	Version int16
}

func (k Kind) String() string { return fmt.Sprintf("%s v%d", k.Name, k.Version) }

// Decoder turns the payload of one kind into the value projectors get. The
// decoder of an old version makes today's value of it. Its error must not
// repeat the payload.
type Decoder func(payload []byte) (any, error)

// Event is an event together with its decoded payload, which takes the place
// of the recorded one.
type Event struct {
	eventlog.Event
	Body any
	// problem says why the event cannot be applied, empty if it can.
	problem string
	// unknown says that the problem is its kind.
	unknown bool
	// skipped events are passed over on request.
	skipped bool
	// projected are the ids of its rows in projected_events, by handler.
	projected []uuid.UUID
}

// Kind is the event's name and version.
func (e *Event) Kind() Kind { return Kind{e.Name, e.Version} }

// Outcome says what became of an event that a projector could not apply as it
// was recorded: the name of a documented race. It is empty for all others.
type Outcome string

// Projector applies some kinds of events to the rows of a [Model]'s tables.
//
// Projectors are total: an event that was accepted into the log has an
// outcome, whatever happened before it. They must depend on nothing but the
// events and the rows.
type Projector interface {
	// Name is stored with each event the projector handles.
	Name() string
	// Handles are the kinds the projector is given.
	Handles() []Kind
	// Needs asks the tables for the rows that Apply may look at. It returns
	// whether it has to be called again when they are there, to follow a
	// reference.
	Needs(e *Event) (again bool)
	// Apply changes the rows. The projectors of a model are called in order
	// for each event, so a later one sees what an earlier one did.
	Apply(e *Event) (Outcome, error)
}

// Index is something only readers need. A replay makes it at the end, when
// that is cheaper than keeping it up to date.
type Index struct {
	// Name is the name of the index, by which the engine knows whether it is there.
	Name  string
	Table string
	SQL   string
}

// Model is what one edition makes of the log. It holds the rows of the chunk
// at work and so belongs to one run.
type Model struct {
	// Version names the edition in messages.
	Version  string
	Decoders map[Kind]Decoder
	// Ignored are kinds that this edition knowingly makes nothing of.
	Ignored    []Kind
	Projectors []Projector
	Tables     []Table
	Indexes    []Index
}

// handlers are the projectors of each kind, in the order of the model.
func (m *Model) handlers() map[Kind][]int {
	handlers := map[Kind][]int{}
	for i, p := range m.Projectors {
		for _, k := range p.Handles() {
			handlers[k] = append(handlers[k], i)
		}
	}
	return handlers
}
