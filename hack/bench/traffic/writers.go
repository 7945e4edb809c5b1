// Package traffic appends events to a log, at a rate or as fast as it goes. It
// does not measure what becomes of them.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
)

// Append puts one event into a table, in a transaction of its own.
type Append func(ctx context.Context, conn *pgx.Conn, event eventlog.NewEvent) error

// ToLog appends as the product does.
func ToLog(log *eventlog.Log) Append {
	return func(ctx context.Context, conn *pgx.Conn, event eventlog.NewEvent) error {
		_, err := log.Append(ctx, conn, event)
		return err
	}
}

// ToTable appends with a plain INSERT to a table with a log's columns.
func ToTable(table string) Append {
	statement := "INSERT INTO " + pgx.Identifier{table}.Sanitize() + " (id, name, version, payload) VALUES ($1, $2, $3, $4)"
	return func(ctx context.Context, conn *pgx.Conn, event eventlog.NewEvent) error {
		_, err := conn.Exec(ctx, statement, event.ID, event.Name, event.Version, string(event.Payload))
		return err
	}
}

// Changes makes changes of known albums, one after the other.
type Changes struct {
	albums []uuid.UUID
	next   atomic.Int64
}

// NewChanges makes changes of these albums.
func NewChanges(albums []uuid.UUID) (*Changes, error) {
	if len(albums) == 0 {
		return nil, errors.New("there are no albums to change")
	}
	return &Changes{albums: albums}, nil
}

// Event is the next change.
func (c *Changes) Event() (eventlog.NewEvent, error) {
	n := c.next.Add(1)
	title := fmt.Sprintf("Alamdar of Karbala %d", n)
	return library.NewAlbumModified(c.albums[int(n)%len(c.albums)], library.Changes{"title": &title})
}

// Acknowledged is when the commit of each event was acknowledged.
type Acknowledged map[uuid.UUID]time.Time

// AtRate appends so many events a second, for some time, over several
// connections. A writer that is late does not make the next ones later.
func AtRate(ctx context.Context, url string, writers int, perSecond float64, last time.Duration, changes *Changes, put Append) (Acknowledged, error) {
	acknowledged := Acknowledged{}
	var lock sync.Mutex
	var turn atomic.Int64
	_, err := each(ctx, url, writers, func(ctx context.Context, conn *pgx.Conn, began time.Time) error {
		for {
			due := time.Duration(float64(turn.Add(1)) / perSecond * float64(time.Second))
			if due > last {
				return nil
			}
			time.Sleep(time.Until(began.Add(due)))
			event, err := changes.Event()
			if err != nil {
				return err
			}
			if err := put(ctx, conn, event); err != nil {
				return err
			}
			now := time.Now()
			lock.Lock()
			acknowledged[event.ID] = now
			lock.Unlock()
		}
	})
	return acknowledged, err
}

// Throughput appends as fast as several connections can and returns how many
// events a second that are.
func Throughput(ctx context.Context, url string, writers int, last time.Duration, changes *Changes, put Append) (float64, error) {
	var appended atomic.Int64
	took, err := each(ctx, url, writers, func(ctx context.Context, conn *pgx.Conn, began time.Time) error {
		for time.Since(began) < last {
			event, err := changes.Event()
			if err != nil {
				return err
			}
			if err := put(ctx, conn, event); err != nil {
				return err
			}
			appended.Add(1)
		}
		return nil
	})
	return float64(appended.Load()) / took.Seconds(), err
}

// each runs the work over several connections at once and returns how long that
// took, without the time it took to connect.
func each(ctx context.Context, url string, writers int, work func(context.Context, *pgx.Conn, time.Time) error) (time.Duration, error) {
	conns := make([]*pgx.Conn, writers)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close(context.WithoutCancel(ctx))
			}
		}
	}()
	for i := range conns {
		var err error
		if conns[i], err = pgx.Connect(ctx, url); err != nil {
			return 0, fmt.Errorf("connect a writer: %w", err)
		}
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range conns {
		group.Go(func() error { return work(ctx, conn, began) })
	}
	err := group.Wait()
	return time.Since(began), err
}
