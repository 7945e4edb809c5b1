package projection_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
)

// author is one of many who write about the same few reciters at once, and
// who do not always go through with it.
type author struct {
	conn     *pgx.Conn
	random   *rand.Rand
	reciters []uuid.UUID
}

// write is one transaction: some events, each maybe taken back, then all of
// them maybe.
func (a *author) write(ctx context.Context) error {
	tx, err := a.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for range 1 + a.random.IntN(3) {
		if err := a.event(ctx, tx); err != nil {
			return err
		}
	}
	if a.random.IntN(6) == 0 {
		time.Sleep(time.Duration(a.random.IntN(30)) * time.Millisecond)
	}
	if a.random.IntN(5) == 0 {
		return tx.Rollback(ctx)
	}
	return tx.Commit(ctx)
}

func (a *author) event(ctx context.Context, tx pgx.Tx) error {
	nested, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := log.Append(ctx, nested, a.invent()); err != nil {
		return err
	}
	if a.random.IntN(5) == 0 {
		return nested.Rollback(ctx)
	}
	return nested.Commit(ctx)
}

func (a *author) invent() eventlog.NewEvent {
	id := a.reciters[a.random.IntN(len(a.reciters))]
	name := fmt.Sprintf("Reciter %d", a.random.IntN(8))
	var e eventlog.NewEvent
	var err error
	switch a.random.IntN(8) {
	case 0, 1:
		e, err = library.NewReciterCreated(id, library.ReciterAttributes{Name: name})
	case 2:
		e, err = library.NewReciterDeleted(id)
	case 3, 4:
		e, err = library.NewAlbumCreated(uuid.New(), id, library.AlbumAttributes{Title: name, Year: "1999"})
	default:
		e, err = library.NewReciterModified(id, library.Changes{"name": &name})
	}
	if err != nil {
		panic(err) // an encoding that cannot fail
	}
	return e
}

// Many writers, a follower that is cut off again and again, and a long
// transaction in another database, which is nobody's business.
func TestManyWritersAndAnInterruptedFollower(t *testing.T) {
	const seed, authors, transactions = 5, 8, 40
	t.Logf("seed %d", seed)
	from, _ := source(t)
	elsewhere := connect(t, server.Database(t))
	run(t, elsewhere, "CREATE TABLE busy (n int)", "BEGIN", "INSERT INTO busy VALUES (1)")
	o, conn := migrated(t, from)
	replay(t, o)
	proxies := interposed(t, &o)
	o.ChunkEvents = 11
	stop := inBackground(t, conn, o)

	reciters := make([]uuid.UUID, 60)
	for i := range reciters {
		reciters[i] = uuid.New()
	}
	var writing sync.WaitGroup
	for n := range authors {
		a := &author{conn: connect(t, from), random: rand.New(rand.NewPCG(seed, uint64(n))), reciters: reciters} //nolint:gosec // a schedule
		writing.Go(func() {
			for range transactions {
				if err := a.write(context.Background()); err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a schedule, not a secret
	for done := false; !done; {
		proxies[random.IntN(2)].CutAt(1+random.IntN(90), random.IntN(2) == 0)
		select {
		case <-written:
			done = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	direct := connect(t, from)
	waitFor(t, conn, count(t, direct, "SELECT max(position) FROM events"))
	if err := stop(); err != nil {
		t.Errorf("the follower ended with %v", err)
	}

	assertSame(t, contentHash(t, conn), rebuilt(t, from))
	assertOnce(t, conn)
	events := count(t, direct, "SELECT count(*) FROM events")
	if projected := count(t, conn, "SELECT count(DISTINCT event_id) FROM projected_events"); projected != events {
		t.Errorf("%d of %d events were projected", projected, events)
	}
	t.Logf("%d events in %d sessions", events, count(t, conn, "SELECT epoch FROM checkpoint"))
}
