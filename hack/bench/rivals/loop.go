package rivals

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
	"github.com/nawhas/nawhas-operator/internal/library"
)

// readAtOnce is how many events the loop reads from the log in one query.
const readAtOnce = 1000

// Loop applies a log to a migrated database as most projectors do: for each
// event a transaction that selects the rows, changes them, and notes the
// revision and the projected event. It makes the keys first, as it would have
// to when it does not know that it starts from nothing, and keeps no
// checkpoint. What it builds is the same to the last column.
func Loop(ctx context.Context, server *testbed.Server, source, database string) (time.Duration, error) {
	edition, err := library.EditionOf(Edition)
	if err != nil {
		return 0, err
	}
	if err := server.Settle(ctx); err != nil {
		return 0, err
	}
	started := time.Now()
	err = server.On(ctx, source, func(log *pgx.Conn) error {
		return server.On(ctx, database, func(target *pgx.Conn) error {
			for _, index := range edition.Model().Indexes {
				if _, err := target.Exec(ctx, index.SQL); err != nil {
					return fmt.Errorf("make index %s: %w", index.Name, err)
				}
			}
			if err := applyAll(ctx, log, target); err != nil {
				return err
			}
			_, err := target.Exec(ctx, "ANALYZE")
			return err
		})
	})
	return time.Since(started), err
}

// Edition is the version whose database all rivals build.
const Edition = "3.1.2"

// recorded is an event as the loop reads it.
type recorded struct {
	position int64
	id       uuid.UUID
	name     string
	body     payload
	at       time.Time
}

// payload has the members of all payloads.
type payload struct {
	ID         uuid.UUID          `json:"id"`
	ReciterID  uuid.UUID          `json:"reciterId"`
	Path       string             `json:"path"`
	Attributes map[string]*string `json:"attributes"`
}

func applyAll(ctx context.Context, log, target *pgx.Conn) error {
	last := int64(0)
	for {
		events, err := read(ctx, log, last)
		if err != nil {
			return fmt.Errorf("read the log after %d: %w", last, err)
		}
		if len(events) == 0 {
			return nil
		}
		for _, e := range events {
			if err := pgx.BeginFunc(ctx, target, func(tx pgx.Tx) error { return (&application{tx, e}).apply(ctx) }); err != nil {
				return fmt.Errorf("apply event %d: %w", e.position, err)
			}
			last = e.position
		}
	}
}

func read(ctx context.Context, log *pgx.Conn, after int64) ([]recorded, error) {
	rows, err := log.Query(ctx, "SELECT position, id, name, payload::text, recorded_at FROM events WHERE position > $1 ORDER BY position LIMIT $2",
		after, readAtOnce)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (recorded, error) {
		var e recorded
		var body string
		if err := row.Scan(&e.position, &e.id, &e.name, &body, &e.at); err != nil {
			return e, err
		}
		err := json.Unmarshal([]byte(body), &e.body)
		return e, err
	})
}
