package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/traffic"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

const (
	// clients is how many append at the same time.
	clients = 8
	// appendTurns is how often each table is filled in a round: the disk's
	// humour changes from second to second.
	appendTurns = 3
)

// plainTable has the columns and keys of a log, and nobody reads it.
const plainTable = `CREATE TABLE plain (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE,
	name text NOT NULL, version smallint NOT NULL DEFAULT 1, payload jsonb NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp())`

// measureAppend compares appends to the log with plain INSERTs.
func measureAppend(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	if err := nawhas.Server.Create(ctx, source); err != nil {
		return err
	}
	if _, err := nawhas.Run(ctx, source, "", "source", "init"); err != nil {
		return err
	}
	if err := nawhas.Server.Execute(ctx, source, plainTable); err != nil {
		return err
	}
	changes, err := traffic.NewChanges([]uuid.UUID{uuid.New(), uuid.New(), uuid.New()})
	if err != nil {
		return err
	}
	puts := map[string]traffic.Append{"events": traffic.ToLog(eventlog.New(eventlog.DefaultTable())), "plain": traffic.ToTable("plain")}
	rates := map[string][]float64{}
	for turn := range b.rounds * appendTurns {
		order := []string{"events", "plain"}
		if turn%2 == 1 {
			order = []string{"plain", "events"}
		}
		for _, table := range order {
			if err := nawhas.Server.Execute(ctx, source, "TRUNCATE "+pgx.Identifier{table}.Sanitize(), "CHECKPOINT"); err != nil {
				return err
			}
			rate, err := traffic.Throughput(ctx, nawhas.Server.URL(source), clients, b.watched()/appendTurns, changes, puts[table])
			if err != nil {
				return err
			}
			rates[table] = append(rates[table], rate)
		}
	}
	b.Add(figures.Told("append, 8 clients", figures.Median(rates["events"]), "events/s").Noting("median of %d turns", len(rates["events"])))
	b.Add(figures.Told("bare INSERT, 8 clients", figures.Median(rates["plain"]), "events/s"))
	b.Add(figures.AtLeast("append / bare INSERT", figures.Ratio(rates["events"], rates["plain"]), "×", 0.9).Aiming(0.97))
	return nil
}

// watched is how long rates and costs are watched, each time.
func (b *bench) watched() time.Duration { return time.Duration(b.seconds) * time.Second }
