package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// writer is a transaction of the live version that has appended and not ended.
type writer struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

// startWriter appends albums of reciters who have some, and one of a reciter whom
// nobody knows, past the proxy.
func (w *world) startWriter(ctx context.Context) (o *writer, err error) {
	conn, err := w.source(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	var role string
	if err := conn.QueryRow(ctx, "SELECT app_role FROM nawhas_ledger.versions WHERE role = 'Live'").Scan(&role); err != nil {
		return nil, fmt.Errorf("find the live version's role: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT DISTINCT payload->>'reciterId' FROM (SELECT payload FROM events WHERE name = 'AlbumCreated' ORDER BY position DESC LIMIT 10) latest`)
	if err != nil {
		return nil, fmt.Errorf("find reciters: %w", err)
	}
	reciters, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find reciters: %w", err)
	}
	if _, err := conn.Exec(ctx, "SET SESSION AUTHORIZATION "+pgx.Identifier{role}.Sanitize()); err != nil {
		return nil, fmt.Errorf("act as the live version: %w", err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO events (id, name, version, payload) SELECT gen_random_uuid(), 'AlbumCreated', 1, jsonb_build_object('id', gen_random_uuid(),
		'reciterId', reciter, 'attributes', jsonb_build_object('title', 'Of ' || clock_timestamp(), 'year', '2026', 'artwork', NULL)) FROM unnest($1::text[] || gen_random_uuid()::text) reciter`, reciters)
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	return &writer{conn: conn, tx: tx}, nil
}

// commit ends the transaction and its session, which the fence may have ended
// before.
func (o *writer) commit(ctx context.Context) error {
	defer func() { _ = o.conn.Close(context.WithoutCancel(ctx)) }()
	return o.tx.Commit(ctx)
}

// hang is a writer that takes its time to commit.
func (w *world) hang(ctx context.Context) error {
	o, err := w.startWriter(ctx)
	if err != nil {
		return err
	}
	_ = sleep(ctx, 4*time.Second)
	return o.commit(ctx)
}

// For how long writers that take turns write at most, and each of them at least.
const (
	inTurn = 40 * time.Second
	aTurn  = 500 * time.Millisecond
)

// writeInTurn has writers follow each other until the version is live, or its
// switch is put off because of them. None commits before the next one has
// appended, so that the log is never free to be locked.
func (w *world) writeInTurn(ctx context.Context, version string) error {
	ctx, stop := context.WithTimeout(ctx, inTurn)
	defer stop()
	now, err := w.startWriter(ctx)
	if err != nil {
		return err
	}
	for sleep(ctx, aTurn) == nil && !w.isDecided(ctx, version) {
		next, err := w.startWriter(ctx)
		if err != nil {
			_ = now.commit(context.WithoutCancel(ctx))
			return err
		}
		if err := now.commit(ctx); err != nil {
			_ = next.commit(context.WithoutCancel(ctx))
			return err
		}
		now = next
	}
	return now.commit(context.WithoutCancel(ctx))
}

// isDecided tells whether a version is live or its switch was put off.
func (w *world) isDecided(ctx context.Context, version string) bool {
	found, err := w.get(ctx)
	if err != nil {
		return false
	}
	switched := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionSwitched)
	return found.Status.Live == version || switched != nil && switched.Reason == v1alpha1.ReasonStrictTimedOut
}
