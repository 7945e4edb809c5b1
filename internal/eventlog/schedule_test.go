package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"
)

// schedule interleaves the statements of some writers with readings, one
// statement at a time, so that a failing one can be replayed.
type schedule struct {
	t       *testing.T
	layout  layout
	url     string
	log     *pgx.Conn
	writers []*scheduled
	read    []int64
	naive   *naive
	n       int
}

// scheduled is one writer: what of its transaction is open.
type scheduled struct {
	conn       *pgx.Conn
	open       bool
	savepoints int
	prepared   string
}

// actions of a writer, each as often as it stands here. A kill is rare, as it
// takes the server a while.
var actions = append(slices.Repeat([]string{"append", "append", "append", "begin", "savepoint", "roll back to savepoint",
	"commit", "roll back", "prepare"}, 4), "kill")

func (s *schedule) step(rt *rapid.T) {
	w := s.writers[rapid.IntRange(0, len(s.writers)-1).Draw(rt, "writer")]
	s.n++
	if w.prepared != "" {
		s.finishPrepared(w, rapid.Bool().Draw(rt, "commit prepared"))
		return
	}
	switch action := rapid.SampledFrom(actions).Draw(rt, "action"); action {
	case "append":
		s.layout.add(s.t, w.conn, s.n)
	case "begin":
		if !w.open {
			execute(s.t, w.conn, "BEGIN")
			w.open, w.savepoints = true, 0
		}
	case "savepoint":
		if w.open {
			w.savepoints++
			execute(s.t, w.conn, fmt.Sprintf("SAVEPOINT s%d", w.savepoints))
		}
	case "roll back to savepoint":
		if w.open && w.savepoints > 0 {
			execute(s.t, w.conn, fmt.Sprintf("ROLLBACK TO SAVEPOINT s%d", w.savepoints))
		}
	case "commit", "roll back":
		if w.open {
			execute(s.t, w.conn, map[string]string{"commit": "COMMIT", "roll back": "ROLLBACK"}[action])
			w.open = false
		}
	case "prepare":
		if w.open {
			w.prepared = fmt.Sprintf("%s_%d", w.conn.Config().Database, s.n)
			execute(s.t, w.conn, "PREPARE TRANSACTION '"+w.prepared+"'")
			w.open = false
		}
	case "kill":
		s.kill(w)
	}
}

func (s *schedule) finishPrepared(w *scheduled, commit bool) {
	word := "ROLLBACK"
	if commit {
		word = "COMMIT"
	}
	execute(s.t, w.conn, word+" PREPARED '"+w.prepared+"'")
	w.prepared = ""
}

// kill ends the writer's session and waits until the server has noticed.
func (s *schedule) kill(w *scheduled) {
	pid := w.conn.PgConn().PID()
	execute(s.t, s.log, "SELECT pg_terminate_backend($1, 5000)", pid)
	_ = w.conn.Close(context.Background())
	*w = scheduled{conn: connect(s.t, s.url)}
}

func (s *schedule) finish() {
	for _, w := range s.writers {
		if w.prepared != "" {
			s.finishPrepared(w, true)
		}
		if w.open {
			execute(s.t, w.conn, "COMMIT")
			w.open = false
		}
	}
}

// Every schedule of writers is read completely, once and in order. Some of
// the same schedules cost the naive reader events.
func TestNoScheduleOfWritersHidesAnEvent(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) { noScheduleHidesAnEvent(t, l) })
	}
}

func noScheduleHidesAnEvent(t *testing.T, l layout) {
	url, conn := l.source(t)
	reading, unaware := connect(t, url), connect(t, url)
	var writers []*scheduled
	for range 4 {
		writers = append(writers, &scheduled{conn: connect(t, url)})
	}
	losses := 0
	rapid.Check(t, func(rt *rapid.T) {
		start, err := l.log.Head(t.Context(), conn)
		if err != nil {
			rt.Fatal(err)
		}
		reader := l.log.Reader(reading, start)
		s := &schedule{t: t, layout: l, url: url, log: conn, writers: writers,
			naive: &naive{log: l.log, conn: unaware, last: start}}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			s.step(rt)
			if rapid.Bool().Draw(rt, "read") {
				s.read = append(s.read, next(t, reader)...)
				s.naive.next(t)
			}
		}
		s.finish()
		s.naive.next(t)
		for more := true; more; {
			found := append(next(t, reader), next(t, reader)...)
			s.read, more = append(s.read, found...), len(found) > 0
		}

		want := loggedIn(t, l.log, conn)
		want = want[sortedAfter(want, start):]
		if !slices.Equal(s.read, want) {
			rt.Fatalf("read %v, the log holds %v", s.read, want)
		}
		if len(s.naive.seen) < len(want) {
			losses++
		}
	})
	if losses == 0 {
		t.Error("no schedule cost the naive reader an event: the schedules do not test what they should")
	}
}

func sortedAfter(positions []int64, start int64) int {
	at, found := slices.BinarySearch(positions, start)
	if found {
		at++
	}
	return at
}

// The same with writers that really run at the same time.
func TestConcurrentWritersAreReadCompletelyAndInOrder(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) { concurrentWritersAreRead(t, l) })
	}
}

func concurrentWritersAreRead(t *testing.T, l layout) {
	const writers, transactions = 8, 60
	url, conn := l.source(t)
	const seed = 7
	t.Logf("seed %d", seed)
	var working sync.WaitGroup
	for w := range writers {
		writer := connect(t, url)
		random := rand.New(rand.NewPCG(seed, uint64(w))) //nolint:gosec // a schedule, not a secret
		working.Go(func() {
			for range transactions {
				write(t, l, writer, random)
			}
		})
	}
	finished := make(chan struct{})
	go func() { working.Wait(); close(finished) }()

	reader := l.log.Reader(connect(t, url), 0)
	var read []int64
	for done := false; !done; {
		select {
		case <-finished:
			done = true
		default:
		}
		found := next(t, reader)
		read = append(read, found...)
		if len(found) > 0 {
			done = false
		}
	}
	if want := loggedIn(t, l.log, conn); !slices.Equal(read, want) {
		t.Fatalf("read %d events, the log holds %d", len(read), len(want))
	}
}

// write is one transaction of a busy writer.
func write(t *testing.T, l layout, conn *pgx.Conn, random *rand.Rand) {
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for range 1 + random.IntN(3) {
		nested, err := tx.Begin(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		if err := l.append(ctx, nested, 1); err != nil {
			t.Error(err)
			return
		}
		if random.IntN(4) == 0 {
			err = nested.Rollback(ctx)
		} else {
			err = nested.Commit(ctx)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
	if random.IntN(5) == 0 {
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
	}
	if random.IntN(4) > 0 {
		if err := tx.Commit(ctx); err != nil {
			t.Error(err)
		}
	}
}
