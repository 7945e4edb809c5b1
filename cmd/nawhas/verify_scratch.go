package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

const (
	// rebuildChunk is unlike what replay and follow use.
	rebuildChunk = 3001
	// followerPatience is how long a follower may take to bring the verified
	// database to where the second replay began.
	followerPatience = 10 * time.Second
)

// rebuild replays the log once more into the scratch database, brings both to
// one position, and sums up both.
func (f *verifyFlags) rebuild(ctx context.Context, options verify.Options) (*verify.Rebuild, error) {
	scratch, err := f.scratch.connect(ctx, "verify")
	if err != nil {
		return nil, err
	}
	defer closing(scratch)
	if err := refuseUsed(ctx, scratch); err != nil {
		return nil, err
	}
	defer clearScratch(scratch)
	if err := library.Migrate(ctx, scratch, options.Edition); err != nil {
		return nil, err
	}
	engine, err := (&projectFlags{database: f.scratch, source: f.source, chunk: rebuildChunk}).options(0)
	if err != nil {
		return nil, err
	}
	engine.Decoders = 1
	result, err := projection.Replay(ctx, engine)
	if err != nil {
		return nil, fmt.Errorf("replay a second time: %w", err)
	}
	original, err := f.sumAt(ctx, options.Database, result.Position)
	if err != nil {
		return nil, err
	}
	if engine.Until = original.Position; engine.Until > result.Position {
		if _, err := projection.Follow(ctx, engine); err != nil {
			return nil, fmt.Errorf("bring the second replay to position %d: %w", original.Position, err)
		}
	}
	rebuilt, err := projection.ContentHash(ctx, scratch)
	if err != nil {
		return nil, err
	}
	return &verify.Rebuild{Original: original, Rebuilt: rebuilt}, nil
}

// sumAt sums up the verified database when it has reached a position. Its
// follower takes it there, or else it is done here.
func (f *verifyFlags) sumAt(ctx context.Context, database *pgx.Conn, position int64) (projection.Hash, error) {
	for deadline := time.Now().Add(followerPatience); ; {
		checkpoint, err := projection.ReadCheckpoint(ctx, database)
		if err != nil {
			return projection.Hash{}, err
		}
		if checkpoint.Position >= position {
			return projection.ContentHash(ctx, database)
		}
		if time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return projection.Hash{}, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := advance(ctx, f.database, f.source, position); err != nil {
		return projection.Hash{}, err
	}
	return projection.ContentHash(ctx, database)
}

// refuseUsed keeps the scratch database from being anybody's: it is cleared
// afterwards.
func refuseUsed(ctx context.Context, scratch *pgx.Conn) error {
	var tables int
	err := scratch.QueryRow(ctx, "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relnamespace = 'public'::regnamespace").Scan(&tables)
	if err != nil {
		return fmt.Errorf("look into the scratch database: %w", err)
	}
	if tables > 0 {
		return usage("the database of --scratch-database-url is not empty: it has %d tables; create one for this", tables)
	}
	return nil
}

// clearScratch drops what was made in a database that was empty.
func clearScratch(scratch *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = scratch.Exec(ctx, `DO $$ DECLARE made text; BEGIN
		FOR made IN SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace LOOP
			EXECUTE 'DROP TABLE IF EXISTS ' || made || ' CASCADE';
		END LOOP;
	END $$`)
}
