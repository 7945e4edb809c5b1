package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// queueDatabase stands for Redis, which all versions share.
const queueDatabase = "nawhas_queue"

// seed writes a log as the application would have: reciters, their albums and
// tracks, and then what people looked at. Ids are made of numbers, so that the
// same number of events is the same log.
const seed = `
INSERT INTO stored_events (event_class, event_properties, meta_data, created_at)
SELECT event_class, event_properties, '[]', '2024-04-06 12:00:00' FROM (
	SELECT 1 AS part, n, 'reciter.created' AS event_class, json_build_object('userId', NULL, 'id', md5('reciter' || n)::uuid,
		'attributes', json_build_object('name', 'Reciter ' || n, 'description', NULL, 'avatar', NULL)) AS event_properties
	FROM generate_series(1, $1::int / 20) AS n
	UNION ALL
	SELECT 2, n, 'album.created', json_build_object('userId', NULL, 'id', md5('album' || n)::uuid, 'reciterId', md5('reciter' || 1 + n % ($1::int / 20))::uuid,
		'attributes', json_build_object('title', 'Album ' || n, 'year', (1900 + n / ($1::int / 20))::text, 'artwork', NULL))
	FROM generate_series(1, $1::int / 10) AS n
	UNION ALL
	SELECT 3, n, 'track.created', json_build_object('userId', NULL, 'id', md5('track' || n)::uuid, 'albumId', md5('album' || 1 + n % ($1::int / 10))::uuid,
		'attributes', json_build_object('title', 'Track ' || n))
	FROM generate_series(1, $1::int / 5) AS n
	UNION ALL
	SELECT 4, n, 'reciter.viewed', json_build_object('id', md5('reciter' || 1 + n % ($1::int / 20))::uuid, 'visited_at', '2024-04-06T12:00:00+00:00', 'userId', NULL)
	FROM generate_series(1, $1::int - $1::int / 20 - $1::int / 10 - $1::int / 5) AS n
) AS events ORDER BY part, n`

// fillLog makes the log and its events, unless they are there.
func fillLog(ctx context.Context, c *cluster.Cluster, events int) error {
	source, err := pgx.Connect(ctx, c.SourceURL)
	if err != nil {
		return fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	var present bool
	if err := source.QueryRow(ctx, "SELECT to_regclass('stored_events') IS NOT NULL").Scan(&present); err != nil || present {
		return err
	}
	definition, err := os.ReadFile(filepath.Join(c.Root, "hack", "laravel", "app", "database", "events", "7.0.0_stored_events.sql"))
	if err != nil {
		return fmt.Errorf("read the log's migration: %w", err)
	}
	if _, err := source.Exec(ctx, string(definition)); err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	if _, err := source.Exec(ctx, seed, max(events, 100)); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	return nil
}

// makeQueue makes the database that stands for Redis.
func makeQueue(ctx context.Context, c *cluster.Cluster) error {
	server, err := pgx.Connect(ctx, c.DatabasesURL)
	if err != nil {
		return fmt.Errorf("connect to the databases server: %w", err)
	}
	defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
	var present bool
	if err := server.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", queueDatabase).Scan(&present); err != nil || present {
		return err
	}
	if _, err := server.Exec(ctx, "CREATE DATABASE "+queueDatabase); err != nil {
		return fmt.Errorf("make the queue: %w", err)
	}
	queue, err := pgx.Connect(ctx, named(c.DatabasesURL, queueDatabase))
	if err != nil {
		return fmt.Errorf("connect to the queue: %w", err)
	}
	defer func() { _ = queue.Close(context.WithoutCancel(ctx)) }()
	_, err = queue.Exec(ctx, "CREATE TABLE jobs (id bigserial PRIMARY KEY, queue text NOT NULL, event bigint NOT NULL, reserved_at timestamptz)")
	if err != nil {
		return fmt.Errorf("make the queue: %w", err)
	}
	return nil
}
