package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// writer is a transaction of a version that has appended and not ended.
type writer struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

// startWriter appends albums of reciters who have some, and one of a reciter whom
// nobody knows, past the proxy.
func (w *world) startWriter(ctx context.Context) (*writer, error) {
	version, reciters, err := w.found(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := w.as(ctx, version)
	if err != nil {
		return nil, err
	}
	o := &writer{conn: conn}
	if err := o.append(ctx, reciters); err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return o, nil
}

// append begins the transaction.
func (o *writer) append(ctx context.Context, reciters []string) (err error) {
	if o.tx, err = o.conn.Begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	_, err = o.tx.Exec(ctx, `INSERT INTO events (id, name, version, payload) SELECT gen_random_uuid(), 'AlbumCreated', 1, jsonb_build_object('id', gen_random_uuid(),
		'reciterId', reciter, 'attributes', jsonb_build_object('title', 'Of ' || clock_timestamp(), 'year', '2026', 'artwork', NULL)) FROM unnest($1::text[] || gen_random_uuid()::text) reciter`, reciters)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// found are the live version and some reciters.
func (w *world) found(ctx context.Context) (version string, reciters []string, err error) {
	conn, err := w.source(ctx)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.QueryRow(ctx, "SELECT version FROM nawhas_ledger.versions WHERE role = 'Live'").Scan(&version); err != nil {
		return "", nil, fmt.Errorf("find the live version: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT DISTINCT payload->>'reciterId' FROM (SELECT payload FROM events WHERE name = 'AlbumCreated' ORDER BY position DESC LIMIT 10) latest`)
	if err != nil {
		return "", nil, fmt.Errorf("find reciters: %w", err)
	}
	reciters, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", nil, fmt.Errorf("find reciters: %w", err)
	}
	return version, reciters, nil
}

// as connects to the log as the pods of a version do: a fence knows who appends
// by the login, which no SET ROLE changes.
func (w *world) as(ctx context.Context, version string) (*pgx.Conn, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: w.namespace, Name: release + "-" + strings.ReplaceAll(version, ".", "-") + "-app"}
	if err := w.cluster.client.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("read the password of version %s: %w", version, err)
	}
	conn, err := pgx.Connect(ctx, w.postgres.URLAs(string(secret.Data["NAWHAS_SOURCE_USER"]), string(secret.Data["NAWHAS_SOURCE_PASSWORD"]), "log"))
	if err != nil {
		return nil, fmt.Errorf("connect as version %s: %w", version, err)
	}
	return conn, nil
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
	if err := o.commit(ctx); err != nil {
		w.log.Info("the writer was ended", "error", err)
	}
	return nil
}

// outlasting is longer than a fence lets a transaction last, and its pods drain.
const outlasting = 15 * time.Second

// straggle has the version that is live append once another one is, and not commit
// until the fence ends it: the pods that its requests came to may be gone by then, their
// transactions are not.
func (w *world) straggle(ctx context.Context, version string) error {
	former, reciters, err := w.found(ctx)
	if err != nil {
		return err
	}
	if former == version {
		return errNobody
	}
	conn, err := w.as(ctx, former)
	if err != nil {
		return err
	}
	o := &writer{conn: conn}
	waiting, stop := context.WithTimeout(ctx, inTurn)
	defer stop()
	for live := former; live != version; {
		if err := sleep(waiting, 50*time.Millisecond); err != nil {
			return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		}
		if live, _, err = w.found(waiting); err != nil {
			return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		}
	}
	if err := o.append(ctx, reciters); err != nil {
		return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	if err := errors.Join(o.outlast(ctx, outlasting), o.commit(ctx)); err != nil {
		w.log.Info("the straggler was ended", "error", err)
	}
	return nil
}

// outlast leaves the transaction as it is until somebody ends it, or its time is over.
func (o *writer) outlast(ctx context.Context, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if err := o.conn.Ping(ctx); err != nil {
			return fmt.Errorf("look whether the session is there: %w", err)
		}
	}
	return nil
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
			// Postgres is away, or the version has just lost its place.
			w.log.Info("no writer follows", "error", err)
			break
		}
		if err := now.commit(ctx); err != nil {
			w.log.Info("the writer was ended", "error", err)
		}
		now = next
	}
	if err := now.commit(context.WithoutCancel(ctx)); err != nil {
		w.log.Info("the writer was ended", "error", err)
	}
	return nil
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
