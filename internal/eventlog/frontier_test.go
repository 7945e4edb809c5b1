package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

func begin(t testing.TB, url string) (*pgx.Conn, pgx.Tx) {
	t.Helper()
	conn := connect(t, url)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn, tx
}

func commit(t testing.TB, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The slow writer draws 1, the quick one draws 2 and commits first.
func TestANaiveReaderLosesTheSlowWriterAndThisOneDoesNot(t *testing.T) {
	url, conn := source(t)
	unaware := &naive{log: events, conn: connect(t, url)}
	reader := events.Reader(conn, 0)
	_, slow := begin(t, url)
	add(t, slow, newEvent(1))
	add(t, connect(t, url), newEvent(2))

	unaware.next(t)
	if got := next(t, reader); len(got) != 0 {
		t.Errorf("read %v past a writer that has not finished", got)
	}
	if held, err := reader.HeldBy(t.Context()); err != nil || len(held) != 1 {
		t.Errorf("held back by %v, %v; want the slow writer", held, err)
	}
	commit(t, slow)
	unaware.next(t)

	if got := next(t, reader); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("read %v, want 1 and 2", got)
	}
	if !slices.Equal(unaware.seen, []int64{2}) {
		t.Errorf("the naive reader saw %v; this schedule should have cost it 1", unaware.seen)
	}
}

func TestAHoleLeftByARollbackIsPassedAtOnce(t *testing.T) {
	url, conn := source(t)
	_, doomed := begin(t, url)
	add(t, doomed, newEvent(1), newEvent(2))
	add(t, conn, newEvent(3))
	if err := doomed.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := events.Reader(conn, 0)
	if got := next(t, reader); !slices.Equal(got, []int64{3}) {
		t.Errorf("read %v, want 3", got)
	}
	if reader.Dead() != 2 {
		t.Errorf("%d dead positions, want 2", reader.Dead())
	}
}

// A rollback to a savepoint lets go of the lock in the middle of a transaction.
func TestAWriterMayAppendAgainAfterASavepoint(t *testing.T) {
	url, conn := source(t)
	reader := events.Reader(conn, 0)
	_, tx := begin(t, url)
	execute(t, tx, "SAVEPOINT s")
	add(t, tx, newEvent(1))
	execute(t, tx, "ROLLBACK TO SAVEPOINT s")
	add(t, conn, newEvent(2))
	if got := next(t, reader); !slices.Equal(got, []int64{2}) {
		t.Errorf("read %v, want 2: position 1 is dead", got)
	}
	add(t, tx, newEvent(3))
	add(t, conn, newEvent(4))
	if got := next(t, reader); len(got) != 0 {
		t.Errorf("read %v past the second append of the transaction", got)
	}
	commit(t, tx)
	if got := next(t, reader); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("read %v, want 3 and 4", got)
	}
}

// PREPARE TRANSACTION hands the lock to another name.
func TestAPreparedTransactionHoldsTheFrontier(t *testing.T) {
	url, conn := source(t)
	reader := events.Reader(conn, 0)
	writer, tx := begin(t, url)
	add(t, tx, newEvent(1))
	add(t, conn, newEvent(2))
	if got := next(t, reader); len(got) != 0 {
		t.Errorf("read %v past an open transaction", got)
	}
	execute(t, writer, "PREPARE TRANSACTION 'frontier'")
	if got := next(t, reader); len(got) != 0 {
		t.Errorf("read %v past a prepared transaction", got)
	}
	own, err := events.HoldersOf(t.Context(), conn, "postgres")
	if err != nil || len(own) != 1 || !own[0].Prepared || own[0].PID != 0 {
		t.Errorf("holders of the role: %+v, %v; want the prepared one", own, err)
	}
	execute(t, conn, "COMMIT PREPARED 'frontier'")
	if got := next(t, reader); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("read %v, want 1 and 2", got)
	}
}

func TestWatermarkWaitsForWritersAndNamesTheOneThatStalls(t *testing.T) {
	url, conn := source(t)
	add(t, conn, newEvent(1))
	slow, tx := begin(t, url)
	add(t, tx, newEvent(2))
	add(t, connect(t, url), newEvent(3))

	if head, err := events.Head(t.Context(), conn); err != nil || head != 3 {
		t.Errorf("head %d, %v; want 3", head, err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := events.Watermark(impatient, connect(t, url))
	stalled, ok := errors.AsType[*eventlog.StalledError](err)
	if !ok || stalled.PID != int32(slow.PgConn().PID()) || stalled.Role != "postgres" || stalled.Age <= 0 {
		t.Errorf("got %v, want the slow writer named", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not tell that the time was up", err)
	}

	marks := make(chan int64)
	go func() {
		w, _ := events.Watermark(t.Context(), conn)
		marks <- w
	}()
	add(t, connect(t, url), newEvent(4))
	commit(t, tx)
	if w := <-marks; w < 3 {
		t.Errorf("watermark %d is below an event committed before it was asked for", w)
	}
}

// The fence: REVOKE lets a running transaction go on.
func TestHoldersOfARoleAreThoseItsFenceWaitsFor(t *testing.T) {
	url, conn := source(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	role := "fenced_" + config.Database
	execute(t, conn, "CREATE ROLE "+role+" LOGIN PASSWORD 'x'")
	execute(t, conn, "GRANT SELECT, INSERT (id, name, version, payload) ON events TO "+role)
	_, tx := begin(t, server.URLAs(role, "x", config.Database))
	add(t, tx, newEvent(1))
	execute(t, conn, "REVOKE INSERT (id, name, version, payload) ON events FROM "+role)

	own, err := events.HoldersOf(t.Context(), conn, role)
	if err != nil || len(own) != 1 || own[0].Role != role || own[0].Age() <= 0 {
		t.Errorf("holders %+v, %v; want the one transaction", own, err)
	}
	if others, err := events.HoldersOf(t.Context(), conn, "postgres"); err != nil || len(others) != 0 {
		t.Errorf("holders of another role: %+v, %v", others, err)
	}
	commit(t, tx)
	if own, err := events.HoldersOf(t.Context(), conn, role); err != nil || len(own) != 0 {
		t.Errorf("holders %+v, %v after the commit", own, err)
	}
}

func TestAnEmptyLog(t *testing.T) {
	url, conn := source(t)
	_, tx := begin(t, url)
	if w, err := events.Watermark(t.Context(), conn); err != nil || w != 0 {
		t.Errorf("watermark %d, %v; want 0", w, err)
	}
	if got := next(t, events.Reader(conn, 0)); len(got) != 0 {
		t.Errorf("read %v from nothing", got)
	}
	commit(t, tx)
}

func TestLimitsOfAReading(t *testing.T) {
	_, conn := source(t)
	for n := range 9 {
		add(t, conn, newEvent(n))
	}
	reader := events.Reader(conn, 0)
	for _, want := range []struct {
		limit eventlog.Limit
		count int
	}{
		{eventlog.Limit{Events: 2}, 2}, {eventlog.Limit{Events: 9, Bytes: 1}, 1},
		{eventlog.Limit{Events: 9, Bytes: 17}, 2}, {eventlog.Limit{Events: 9, UpTo: 6}, 1}, {eventlog.Limit{Events: 9}, 3},
	} {
		read, err := reader.Next(t.Context(), want.limit)
		if err != nil || len(read) != want.count {
			t.Errorf("%+v: read %d, %v; want %d", want.limit, len(read), err, want.count)
		}
	}
}

// A reader learns how large events are, and its batches grow again after them.
func TestAReaderAdaptsToTheSizeOfEvents(t *testing.T) {
	_, conn := source(t)
	execute(t, conn, `INSERT INTO events (id, name, payload) SELECT gen_random_uuid(), 'Sized', jsonb_build_object('x', repeat('x', CASE WHEN n BETWEEN 301 AND 320 THEN 100000 ELSE 10 END))
		FROM generate_series(1, 1000) AS n ORDER BY n`)
	reader := events.Reader(conn, 0)
	read, largest := int64(0), 0
	for {
		found, err := reader.Next(t.Context(), eventlog.Limit{Events: 2000, Bytes: 300_000})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			break
		}
		size := 0
		for _, e := range found {
			if read++; e.Position != read {
				t.Fatalf("read position %d after %d", e.Position, read-1)
			}
			size += len(e.Payload)
		}
		if size > 300_000 {
			t.Errorf("a batch of %d bytes", size)
		}
		if read > 320 {
			largest = max(largest, len(found))
		}
	}
	if read != 1000 || largest < 100 {
		t.Errorf("read %d of 1000 events, the last ones at most %d at a time", read, largest)
	}
}
