package projection

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// applier makes of events what is to be written to a version's database. It
// folds batches of them into the rows in memory; one or more batches are a
// chunk, which is one transaction. A chunk may still be on its way to the
// database while the next one is folded: until it is committed its rows stay in
// memory, so what is looked up in the database meanwhile is never missed.
type applier struct {
	*session
	model      *Model
	projectors []bookkeeping
	handlers   map[Kind][]int
	projected  *Appends
	skipped    *Appends
	// reader is the session that rows are looked up in.
	reader *wire
	// foreseen are the answers that are still on their way.
	foreseen answers
	// chunk is the number of the one at work, and committed that of the last one
	// that is in the database.
	chunk     int64
	committed atomic.Int64
	// swept is the last committed chunk of which no row is left to forget.
	swept int64
	// taken is the checkpoint of the last step, ahead the one after all events folded.
	taken, ahead Checkpoint
	// Of the chunk at work and of the batch at work.
	outcomes      map[string]map[Outcome]int64
	chunkEvents   int
	events, skips int64
}

// bookkeeping is what is noted of each event that a projector handles.
type bookkeeping struct {
	projector Projector
	name      string
	// namespace is the space that the ids of its projected_events are derived in.
	namespace uuid.UUID
}

var projectedNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/projected_events"))

func (s *session) applier(ctx context.Context, reader *wire) (*applier, error) {
	a := &applier{session: s, reader: reader, taken: s.checkpoint, ahead: s.checkpoint}
	if err := a.renew(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// renew begins with a fresh model, without the rows of a batch that failed.
func (a *applier) renew(ctx context.Context) error {
	a.model = a.NewModel()
	a.handlers = a.model.handlers()
	a.projected = NewAppends("projected_events", "id", "event_id", "projector", "projected_at")
	a.skipped = NewAppends("skipped_events", "position", "event_id", "name", "version")
	a.projectors = a.projectors[:0]
	for _, p := range a.model.Projectors {
		a.projectors = append(a.projectors, bookkeeping{p, p.Name(), uuid.NewSHA1(projectedNamespace, []byte(p.Name()))})
	}
	for _, t := range a.tables() {
		if err := t.describe(ctx, a.database); err != nil {
			return err
		}
	}
	a.begin()
	return nil
}

// begin begins a chunk.
func (a *applier) begin() {
	a.chunk++
	a.chunkEvents, a.events, a.skips = 0, 0, 0
	a.outcomes = map[string]map[Outcome]int64{}
	for _, t := range a.tables() {
		t.begin(a.chunk)
	}
}

func (a *applier) tables() []Table {
	return append(append([]Table{}, a.model.Tables...), a.projected, a.skipped)
}

// rowMemory is about how many bytes the rows in memory may take, and
// chunkMemory those that one chunk uses, which stay until it is committed: the
// chunk before may still be on its way. More of either costs more than it saves:
// the processor's caches and the collector bear small maps better than the server
// bears to be asked, and a chunk of a long log seldom changes a row twice.
var rowMemory, chunkMemory = 32 << 20, 16 << 20

// full makes room for the rows of another batch, and tells whether the chunk at
// work has as many of them as it may.
func (a *applier) full() bool {
	size, used := 0, 0
	for _, t := range a.tables() {
		all, ofChunk := t.size()
		size, used = size+all, used+ofChunk
	}
	if size > rowMemory {
		a.shrink(size)
	}
	return used > chunkMemory
}

// shrink forgets a quarter of the rows, of those that are in the database as
// they are here. Which ones is left to chance: a row is as likely to be asked for
// again soon as the next one.
func (a *applier) shrink(size int) {
	committed := a.committed.Load()
	if committed == a.swept {
		return
	}
	left := true
	for _, t := range a.tables() {
		left = t.evict(committed, float64(rowMemory)*3/4/float64(size)) && left
	}
	if !left {
		a.swept = committed
	}
}

// fold applies a batch of events to the rows in memory. At an event that cannot
// be applied it returns a [*Poison]; then the memory is of no use any more.
func (a *applier) fold(ctx context.Context, events []Event) error {
	if err := a.load(ctx, events); err != nil {
		return err
	}
	return a.apply(events)
}

// apply is fold for a batch whose rows are in memory.
func (a *applier) apply(events []Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := a.project(events); err != nil {
		return err
	}
	a.ahead.Position, a.ahead.Tail = events[len(events)-1].Position, extendTail(a.ahead.Tail, events)
	a.chunkEvents += len(events)
	return nil
}

// take is the step that brings the database to what was folded. The last one
// of a chunk takes the rows with it.
func (a *applier) take(last bool) *step {
	s := &step{chunk: a.chunk, last: last, previous: a.taken, next: a.ahead, events: a.events, skipped: a.skips}
	a.taken, a.events, a.skips = a.ahead, 0, 0
	for _, t := range a.tables() {
		if c, some := t.take(last); some {
			s.changes = append(s.changes, c)
		}
	}
	if last {
		s.outcomes = a.outcomes
		a.begin()
	}
	return s
}

// load asks the projectors for the rows they need until they need no more.
func (a *applier) load(ctx context.Context, events []Event) error {
	asking := a.stillAsking(events)
	for {
		more, err := a.fetch(ctx)
		if !more || err != nil {
			return err
		}
		asking = slices.DeleteFunc(asking, func(e *Event) bool { return !a.needsMore(e) })
	}
}

// stillAsking asks the projectors for the rows they need, and returns the events
// for which they have to be asked again.
func (a *applier) stillAsking(events []Event) []*Event {
	var asking []*Event
	for i := range events {
		if a.needsMore(&events[i]) {
			asking = append(asking, &events[i])
		}
	}
	return asking
}

// foresee asks for what a batch needs as far as it can be told before the batch
// at work is folded. Nothing is forgotten until it has [applier.received] the
// answers: they may not tell yet what is committed meanwhile.
func (a *applier) foresee(ctx context.Context, events []Event) (err error) {
	a.stillAsking(events)
	a.foreseen, err = a.reader.ask(ctx, a.wants()...)
	return err
}

// received waits for what was foreseen.
func (a *applier) received() error {
	err := a.foreseen.receive()
	a.foreseen = answers{}
	a.arrived()
	return err
}

// needsMore asks the projectors of an event for the rows they need, and tells
// whether one has to be asked again when these are there.
func (a *applier) needsMore(e *Event) bool {
	more := false
	for _, p := range a.handlersOf(e) {
		more = a.projectors[p].projector.Needs(e) || more
	}
	return more
}

// fetch gets the rows that were asked for, and tells whether there were any.
func (a *applier) fetch(ctx context.Context) (bool, error) {
	wanted := a.wants()
	if len(wanted) == 0 {
		return false, nil
	}
	if err := a.reader.run(ctx, wanted...); err != nil {
		return false, err
	}
	a.arrived()
	return true, nil
}

func (a *applier) wants() []statement {
	var wanted []statement
	for _, t := range a.model.Tables {
		wanted = append(wanted, t.wants()...)
	}
	return wanted
}

func (a *applier) arrived() {
	for _, t := range a.model.Tables {
		t.arrived()
	}
}

// handlersOf are the projectors of an event that can be applied.
func (a *applier) handlersOf(e *Event) []int {
	if e.skipped || e.problem != "" {
		return nil
	}
	return a.handlers[e.Kind()]
}

// project applies the events to the rows in memory.
func (a *applier) project(events []Event) error {
	now := time.Now()
	for i := range events {
		e := &events[i]
		switch {
		case e.skipped:
			a.noteSkipped(e)
		case e.problem != "":
			return e.poison(a.firstHandler(e), e.problem)
		default:
			if err := a.projectOne(e, now); err != nil {
				return err
			}
			a.events++
		}
	}
	for _, t := range a.model.Tables {
		if err := t.fault(); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) projectOne(e *Event, now time.Time) error {
	for n, p := range a.handlers[e.Kind()] {
		b := &a.projectors[p]
		outcome, err := b.projector.Apply(e)
		if err != nil {
			return e.poison(b.name, err.Error())
		}
		if outcome != "" {
			add(a.outcomes, b.name, outcome, 1)
		}
		row := a.projected.Row()
		row.UUID(e.projected[n])
		row.UUID(e.ID)
		row.Text(b.name)
		row.Time(now)
	}
	return nil
}

// firstHandler is the projector that an event would have come to first, empty
// if none knows such events.
func (a *applier) firstHandler(e *Event) string {
	if handlers := a.handlers[e.Kind()]; len(handlers) > 0 {
		return a.projectors[handlers[0]].name
	}
	return ""
}

func (a *applier) noteSkipped(e *Event) {
	a.skips++
	row := a.skipped.Row()
	row.Int64(e.Position)
	row.UUID(e.ID)
	row.Text(e.Name)
	row.Int16(e.Version)
}

// add counts outcomes by projector.
func add(counts map[string]map[Outcome]int64, projector string, outcome Outcome, n int64) {
	if counts[projector] == nil {
		counts[projector] = map[Outcome]int64{}
	}
	counts[projector][outcome] += n
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
