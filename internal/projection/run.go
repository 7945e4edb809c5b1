package projection

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// Options say what to build from what. Source, Database and NewModel are
// required.
type Options struct {
	// Source and Database are connection strings: the log's database and the
	// version's.
	Source, Database string
	// Log is the log's description; nil means the default table.
	Log *eventlog.Log
	// NewModel makes a fresh model of the edition.
	NewModel func() *Model
	// Reporter hears of the progress; nil means nobody does.
	Reporter Reporter
	// Skip are events to pass over, whatever they hold. Each is recorded in
	// the table skipped_events.
	Skip []uuid.UUID
	// SkipUnknown passes over events of kinds that the edition does not know, and
	// records them likewise.
	SkipUnknown bool
	// Until stops a follower when exactly the events up to this position are
	// applied; 0 means never.
	Until int64
	// ChunkEvents and ChunkBytes bound a chunk; 0 means a good default.
	ChunkEvents, ChunkBytes int
	// MaxEventsPerSecond bounds how fast a replay reads the log; 0 means as fast
	// as it goes.
	MaxEventsPerSecond int64
	// Decoders is how many goroutines decode; 0 means one a processor.
	Decoders int
	// Silence is how long another applier's session must have been silent
	// before it is ended; 0 means 15 seconds.
	Silence time.Duration
	// Logger hears what an administrator may want to know; nil means nobody does.
	Logger *slog.Logger
}

// Result is what a run did.
type Result struct {
	// Position is the checkpoint after the run.
	Position int64
	// Events were applied, Skipped were passed over on request, Dead are
	// positions that never held an event.
	Events, Skipped, Dead int64
	// Outcomes counts the documented races by projector and outcome.
	Outcomes map[string]map[Outcome]int64
	Elapsed  time.Duration
}

// Report is how far a run is.
type Report struct {
	// Position is the checkpoint, Target what the run goes up to (0 for a
	// follower without end) and Head the log's highest visible position.
	Position, Target, Head int64
	Stage                  string
	EventsPerSecond        float64
	Skipped                int64
	// Waiting says which writer of the log the run waits for, empty if for none.
	Waiting string
	// Problem is the event that the run cannot get past.
	Problem *Poison
}

// Reporter hears of a run's progress at most twice a second, and always at
// its end. An error is logged and does not stop the run.
type Reporter interface {
	Report(ctx context.Context, r Report) error
}
