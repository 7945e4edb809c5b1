package projection

import (
	"sync"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// decoder turns what was read into events with a body. It is safe for
// concurrent use.
type decoder struct {
	kinds   map[Kind]Decoder
	ignored map[Kind]bool
	skip    map[uuid.UUID]bool
	workers int
	// skipUnknown passes over events of a kind that the edition does not know.
	skipUnknown bool
	// namespaces are those of the projectors that handle a kind.
	namespaces map[Kind][]uuid.UUID
	// most is how many projectors handle a kind at most.
	most int
}

func (a *applier) decoder() *decoder {
	m := a.model
	d := &decoder{kinds: m.Decoders, ignored: map[Kind]bool{}, skip: a.skip, skipUnknown: a.SkipUnknown, workers: a.Decoders, namespaces: map[Kind][]uuid.UUID{}}
	for kind, projectors := range a.handlers {
		for _, p := range projectors {
			d.namespaces[kind] = append(d.namespaces[kind], a.projectors[p].namespace)
		}
		d.most = max(d.most, len(projectors))
	}
	for _, k := range m.Ignored {
		d.ignored[k] = true
	}
	return d
}

// fewEvents are not worth a second goroutine.
const fewEvents = 256

// decode keeps the order. What cannot be decoded is marked, not refused: the
// events before it are still to be applied.
func (d *decoder) decode(recorded []eventlog.Event) []Event {
	events := make([]Event, len(recorded))
	share := max((len(recorded)+d.workers-1)/d.workers, fewEvents)
	var working sync.WaitGroup
	for from := 0; from < len(recorded); from += share {
		to := min(from+share, len(recorded))
		working.Go(func() {
			ids := make([]uuid.UUID, 0, (to-from)*d.most)
			for i := from; i < to; i++ {
				events[i] = d.one(recorded[i], &ids)
			}
		})
	}
	working.Wait()
	return events
}

func (d *decoder) one(recorded eventlog.Event, ids *[]uuid.UUID) Event {
	e := Event{Event: recorded}
	kind := e.Kind()
	decode, known := d.kinds[kind]
	switch {
	case d.skip[e.ID]:
		e.skipped = true
	case known:
		body, err := decode(recorded.Payload)
		if err != nil {
			e.problem = "its payload cannot be read: " + err.Error()
		}
		e.Body, e.projected = body, projectedIDs(d.namespaces[kind], e.ID, ids)
	case d.ignored[kind]:
	case d.skipUnknown:
		e.skipped = true
	default:
		e.problem, e.unknown = "this edition does not know such an event", true
	}
	e.Payload = nil
	return e
}

// projectedIDs derives the ids of an event's rows in projected_events, in the
// namespaces of the projectors. It puts them behind all that are there.
func projectedIDs(namespaces []uuid.UUID, event uuid.UUID, all *[]uuid.UUID) []uuid.UUID {
	from := len(*all)
	for _, namespace := range namespaces {
		*all = append(*all, DeriveID(namespace, event[:]))
	}
	return (*all)[from:len(*all):len(*all)]
}

// poison describes what is wrong with an event.
func (e *Event) poison(projector, reason string) *Poison {
	return &Poison{Position: e.Position, EventID: e.ID, Name: e.Name, Version: e.Version, Projector: projector, Reason: reason, Unknown: e.unknown}
}
