package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Limit bounds one reading of the log.
type Limit struct {
	// Events is the highest number of events to return.
	Events int
	// Bytes bounds the sum of their payloads; one event is returned even if
	// it is larger. 0 means no bound.
	Bytes int
	// UpTo is the last position to read, 0 for no limit.
	UpTo int64
}

// Reader reads the log forward from a position, up to the frontier and no
// further. It belongs to one session of the source and ends with it, and it
// is not safe for concurrent use.
type Reader struct {
	log  *Log
	db   DB
	last int64
	// settled is a position at and below which the current snapshot, and every
	// later one of this session, shows all there will ever be.
	settled int64
	// hole is what must end before the hole after last can be passed.
	hole  *hold
	dead  int64
	names map[string]string
	// ask is how many events to ask for: what is beyond the limit of bytes has
	// to be fetched before it can be left.
	ask int
	// expected is how many came last time.
	expected int
}

// Reader starts after the given position; 0 reads from the beginning.
func (l *Log) Reader(db DB, after int64) *Reader {
	return &Reader{log: l, db: db, last: after, names: map[string]string{}, ask: firstAsk}
}

// firstAsk is how many events a reader asks for before it knows their size.
const firstAsk = 256

// Settled tells the reader that its session has seen the watermark w, so that
// holes up to it are dead without another look.
func (r *Reader) Settled(w int64) { r.settled = max(r.settled, w) }

// Position is the position of the last event returned.
func (r *Reader) Position() int64 { return r.last }

// Dead counts the positions passed that will never hold an event.
func (r *Reader) Dead() int64 { return r.dead }

// Next returns the next events in order, none when the log has no more up to
// the frontier or the limit. It never waits for a writer: when a hole holds
// it back it returns what comes before.
func (r *Reader) Next(ctx context.Context, limit Limit) ([]Event, error) {
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	events, err := r.read(ctx, limit)
	if err != nil {
		return nil, err
	}
	ready := r.untilHole(events)
	if len(ready) < len(events) && r.hole == nil {
		h, err := r.log.hold(ctx, r.db)
		if err != nil {
			return nil, err
		}
		r.hole = &h
		// Often nobody is appending any more: the hole is from a rollback.
		if len(ready) == 0 {
			return r.retry(ctx, limit)
		}
	}
	r.advance(ready)
	return ready, nil
}

// retry reads once more after a hole was found first thing.
func (r *Reader) retry(ctx context.Context, limit Limit) ([]Event, error) {
	if err := r.settle(ctx); err != nil || r.hole != nil {
		return nil, err
	}
	events, err := r.read(ctx, limit)
	if err != nil {
		return nil, err
	}
	ready := r.untilHole(events)
	r.advance(ready)
	return ready, nil
}

// HeldBy are the transactions that hold the reader back at a hole, none when
// it is not held back.
func (r *Reader) HeldBy(ctx context.Context) ([]Holder, error) {
	if r.hole == nil {
		return nil, nil
	}
	return r.log.remaining(ctx, r.db, *r.hole)
}

// settle passes the current hole if its holders have let go. The snapshot of
// the statement that follows is then new enough.
func (r *Reader) settle(ctx context.Context) error {
	if r.hole == nil {
		return nil
	}
	left, err := r.log.remaining(ctx, r.db, *r.hole)
	if err != nil || len(left) > 0 {
		return err
	}
	r.Settled(r.hole.last)
	r.hole = nil
	return nil
}

// untilHole are the first events that no unsettled hole separates from the
// last one returned.
func (r *Reader) untilHole(events []Event) []Event {
	previous := r.last
	for i, e := range events {
		if e.Position != previous+1 && e.Position-1 > r.settled {
			return events[:i]
		}
		previous = e.Position
	}
	return events
}

func (r *Reader) advance(events []Event) {
	if len(events) == 0 {
		return
	}
	last := events[len(events)-1].Position
	r.dead += last - r.last - int64(len(events))
	r.last = last
}

func (r *Reader) read(ctx context.Context, limit Limit) ([]Event, error) {
	upTo := limit.UpTo
	if upTo == 0 {
		upTo = math.MaxInt64
	}
	rows, err := r.db.Query(ctx, r.log.sql.read, pgx.QueryResultFormats{pgx.BinaryFormatCode}, r.last, upTo,
		min(limit.Events, r.ask))
	if err != nil {
		return nil, fmt.Errorf("read the log after position %d: %w", r.last, err)
	}
	defer rows.Close()
	events := make([]Event, 0, min(limit.Events, r.expected))
	last, size := r.last, 0
	for rows.Next() {
		e, err := r.decode(rows.RawValues())
		if err != nil {
			return nil, fmt.Errorf("read an event after position %d: %w", last, err)
		}
		if e.Position <= last {
			return nil, errNotOrdered
		}
		size += len(e.Payload)
		if limit.Bytes > 0 && size > limit.Bytes && len(events) > 0 {
			r.ask = len(events) + 1
			break
		}
		events, last = append(events, e), e.Position
	}
	rows.Close()
	r.expected = len(events)
	if len(events) == r.ask && (limit.Bytes == 0 || size <= limit.Bytes) {
		r.ask *= 2
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the log after position %d: %w", r.last, err)
	}
	return events, nil
}

// microsecondsTo2000 lies between the epochs of Unix and of Postgres.
const microsecondsTo2000 = 946684800 * 1000000

// decode reads a row in Postgres' binary format. The statement casts the
// columns to types of these sizes.
func (r *Reader) decode(row [][]byte) (Event, error) {
	if len(row) != 6 || len(row[0]) != 8 || len(row[1]) != 16 || len(row[3]) != 2 || len(row[5]) != 8 {
		return Event{}, errNotDescribed
	}
	recorded := int64(binary.BigEndian.Uint64(row[5])) + microsecondsTo2000 //nolint:gosec // the bits are what is wanted
	return Event{
		Position:   int64(binary.BigEndian.Uint64(row[0])), //nolint:gosec // the bits are what is wanted
		ID:         uuid.UUID(row[1]),
		Name:       r.intern(row[2]),
		Version:    int16(binary.BigEndian.Uint16(row[3])), //nolint:gosec // the bits are what is wanted
		Payload:    bytes.Clone(row[4]),
		RecordedAt: time.UnixMicro(recorded).UTC(),
	}, nil
}

// intern keeps one copy of each name; a log has few.
func (r *Reader) intern(name []byte) string {
	if known, ok := r.names[string(name)]; ok {
		return known
	}
	if len(r.names) < 1000 {
		r.names[string(name)] = string(name)
	}
	return string(name)
}
