package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Writes are the numbers of a comparison of acknowledged writes with the log.
type Writes struct {
	// Acknowledged is how many writes the clients were told are recorded.
	Acknowledged int64
	// Lost are those that the log does not have at the position that was told.
	Lost int64
	// Surplus are events of the same time that no client was told of.
	Surplus int64
}

// Acknowledged compares a list of acknowledged writes, a JSON object with event
// and position a line, with the events of the log above a position.
func Acknowledged(ctx context.Context, sourceURL, list string, after int64) (Writes, error) {
	var w Writes
	writes, err := readList(list)
	if err != nil {
		return w, err
	}
	source, err := pgx.Connect(ctx, sourceURL)
	if err != nil {
		return w, fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	if _, err := source.Exec(ctx, "CREATE TEMP TABLE acknowledged (id uuid, position bigint)"); err != nil {
		return w, fmt.Errorf("make room for the acknowledged writes: %w", err)
	}
	_, err = source.CopyFrom(ctx, pgx.Identifier{"acknowledged"}, []string{"id", "position"}, pgx.CopyFromRows(writes))
	if err != nil {
		return w, fmt.Errorf("copy the acknowledged writes: %w", err)
	}
	err = source.QueryRow(ctx, `SELECT (SELECT count(*) FROM acknowledged),
		(SELECT count(*) FROM acknowledged a LEFT JOIN events e USING (id) WHERE e.position IS DISTINCT FROM a.position),
		(SELECT count(*) FROM events e WHERE e.position > $1 AND NOT EXISTS (SELECT FROM acknowledged a WHERE a.id = e.id))`, after).
		Scan(&w.Acknowledged, &w.Lost, &w.Surplus)
	if err != nil {
		return w, fmt.Errorf("compare the acknowledged writes with the log: %w", err)
	}
	return w, nil
}

func readList(path string) ([][]any, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the acknowledged writes: %w", err)
	}
	defer func() { _ = file.Close() }()
	var rows [][]any
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var write struct {
			Event    uuid.UUID `json:"event"`
			Position int64     `json:"position"`
		}
		if err := json.Unmarshal(lines.Bytes(), &write); err != nil {
			return nil, fmt.Errorf("read an acknowledged write: %w", err)
		}
		rows = append(rows, []any{write.Event, write.Position})
	}
	return rows, lines.Err()
}
