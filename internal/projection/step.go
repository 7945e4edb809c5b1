package projection

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// step is what a batch of events does to the database.
type step struct {
	// chunk is the number of the chunk it is part of, and last says that it is
	// the chunk's last one.
	chunk int64
	last  bool
	// previous and next are the checkpoint before and after it.
	previous, next Checkpoint
	changes        []change
	// outcomes of the whole chunk come with its last step.
	outcomes        map[string]map[Outcome]int64
	events, skipped int64
}

// writer writes the steps of a session, one after the other.
type writer struct {
	*wire
	// begun is whether a chunk's transaction is open.
	begun bool
}

// write writes a step. A chunk of one small step is one round trip; a larger
// one is a transaction that its last step commits. After an error the session
// is of no use any more.
func (w *writer) write(ctx context.Context, s *step) error {
	if err := w.send(ctx, s); err != nil {
		return fmt.Errorf("apply events %d to %d: %w", s.previous.Position+1, s.next.Position, err)
	}
	for i := range s.changes {
		s.changes[i].release()
	}
	return nil
}

func (w *writer) send(ctx context.Context, s *step) error {
	all := []statement{advance(s.previous, s.next)}
	if w.begun || !s.last || s.bulk() {
		if !w.begun {
			all = append([]statement{{doing: "begin a transaction", sql: "BEGIN"}}, all...)
			w.begun = true
		}
		return w.sendPart(ctx, s, all)
	}
	for i := range s.changes {
		all = append(all, s.changes[i].statements()...)
	}
	return w.runGuarded(ctx, s.previous, append(all, s.counts()...)...)
}

// sendPart writes a step within the chunk's transaction.
func (w *writer) sendPart(ctx context.Context, s *step, all []statement) error {
	for i := range s.changes {
		all = append(all, s.changes[i].replacements()...)
	}
	if err := w.runGuarded(ctx, s.previous, append(all, s.counts()...)...); err != nil {
		return err
	}
	for i := range s.changes {
		if err := s.changes[i].load(ctx, w.wire); err != nil {
			return err
		}
	}
	if !s.last {
		return nil
	}
	w.begun = false
	return w.run(ctx, statement{doing: "commit", sql: "COMMIT"})
}

// bulk tells whether a step has to be written with more than statements.
func (s *step) bulk() bool {
	for i := range s.changes {
		if s.changes[i].bulk() {
			return true
		}
	}
	return false
}

// counts are the statements that add up the outcomes.
func (s *step) counts() []statement {
	var all []statement
	for projector, counts := range s.outcomes {
		for outcome, n := range counts {
			all = append(all, statement{doing: "count outcomes",
				sql: `INSERT INTO outcomes AS o (projector, outcome, events) VALUES ($1::text, $2::text, $3::bigint)
					ON CONFLICT (projector, outcome) DO UPDATE SET events = o.events + excluded.events`,
				params: [][]byte{[]byte(projector), []byte(outcome), bigint(n)}})
		}
	}
	return all
}

// advance moves the checkpoint. It fails, and everything that comes with it,
// if the checkpoint is no longer where this applier left it: the division by
// the number of rows found is what makes an answer of "none" an error.
func advance(previous, next Checkpoint) statement {
	tail, err := json.Marshal(next.Tail)
	if err != nil {
		panic(err) // positions and ids can be written always
	}
	var target []byte
	if next.Target != nil {
		target = bigint(*next.Target)
	}
	return statement{doing: "move the checkpoint",
		sql: `WITH moved AS (
				UPDATE checkpoint SET position = $1::bigint, stage = $2::text, target = $3::bigint, tail = $4::text::jsonb, updated_at = now()
				WHERE position = $5::bigint AND epoch = $6::bigint RETURNING 1
			) SELECT 1 / count(*) FROM moved`,
		params: [][]byte{bigint(next.Position), []byte(next.Stage), target, tail, bigint(previous.Position), bigint(previous.Epoch)}}
}

const divisionByZero = "22012"

// runGuarded runs statements that [advance] is one of.
func (w *wire) runGuarded(ctx context.Context, previous Checkpoint, statements ...statement) error {
	err := w.run(ctx, statements...)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == divisionByZero {
		return &TakenOverError{Epoch: previous.Epoch}
	}
	return err
}

func bigint(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // the bits are what is wanted
}
