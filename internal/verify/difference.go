package verify

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// difference walks along both lists of ids side by side, in their order, and
// counts what only one of them has. It holds one id of each at a time.
func (in *inspection) difference(ctx context.Context, projector projection.Projector) (missing, extra int64, samples []string, err error) {
	var names []string
	var versions []int16
	for _, kind := range projector.Handles() {
		names, versions = append(names, kind.Name), append(versions, kind.Version)
	}
	wanted, err := in.source.Query(ctx, "SELECT e.id FROM "+in.events()+` e JOIN unnest($2::text[], $3::smallint[]) AS k(name, version)
		ON e.name = k.name AND e.version = k.version WHERE e.position <= $1 AND e.id <> ALL ($4::uuid[]) ORDER BY 1`,
		in.checkpoint.Position, names, versions, in.skipped())
	if err != nil {
		return 0, 0, nil, err
	}
	defer wanted.Close()
	got, err := in.database.Query(ctx, "SELECT event_id FROM projected_events WHERE projector = $1 ORDER BY 1", projector.Name())
	if err != nil {
		return 0, 0, nil, err
	}
	defer got.Close()
	note := func(what string, id uuid.UUID) {
		if len(samples) < maxSamples {
			samples = append(samples, fmt.Sprintf("event %s %s %s", id, what, projector.Name()))
		}
	}
	left, right := &ids{rows: wanted}, &ids{rows: got}
	left.next()
	right.next()
	for left.more || right.more {
		switch order := left.compare(right); {
		case order < 0:
			missing++
			note("is missing in", left.id)
			left.next()
		case order > 0:
			extra++
			note("is too much in", right.id)
			right.next()
		default:
			left.next()
			right.next()
		}
	}
	if left.err != nil {
		return 0, 0, nil, left.err
	}
	return missing, extra, samples, right.err
}

// ids is a sorted list of ids that is read as it comes.
type ids struct {
	rows pgx.Rows
	id   uuid.UUID
	more bool
	err  error
}

func (l *ids) next() {
	l.more = l.rows.Next()
	if l.more {
		l.err = l.rows.Scan(&l.id)
		l.more = l.err == nil
	} else {
		l.err = l.rows.Err()
	}
}

// compare puts a list that has ended behind everything.
func (l *ids) compare(other *ids) int {
	switch {
	case !l.more:
		return 1
	case !other.more:
		return -1
	}
	return bytes.Compare(l.id[:], other.id[:])
}
