package projection_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

func TestTheContentDoesNotDependOnHowItWasMade(t *testing.T) {
	const events = 1200
	from, writer := generated(t, events/2, 1)
	half, halfConn := migrated(t, from)
	replay(t, half)
	if err := library.Generate(t.Context(), writer, log, events/2, 2, nil); err != nil {
		t.Fatal(err)
	}
	want := rebuilt(t, from)

	follow(t, half, events)
	assertSame(t, contentHash(t, halfConn), want)
	assertOnce(t, halfConn)

	for _, c := range []struct{ chunk, batch, bytes, decoders, memory int }{
		{1, 100, 0, 1, 1 << 20}, {7, 100, 0, 3, 0}, {7, 100, 0, 3, 10_000}, {100, 100, 2000, 2, 100_000}, {events, events, 0, 8, 1 << 20},
		{events, 20, 0, 2, 1 << 20}, {events, 20, 0, 2, 0}, {events, 20, 0, 2, 30_000}, {100, 7, 0, 1, 30_000}, {100, 1, 0, 2, 60_000},
	} {
		t.Cleanup(projection.Tune(c.batch, c.memory))
		o, conn := migrated(t, from)
		o.ChunkEvents, o.ChunkBytes, o.Decoders = c.chunk, c.bytes, c.decoders
		result := replay(t, o)
		if result.Events != events || result.Position != events {
			t.Errorf("%+v: %d events up to %d, want %d", c, result.Events, result.Position, events)
		}
		assertSame(t, contentHash(t, conn), want)
		assertOnce(t, conn)
	}
}

// A process that dies at any message to any server resumes where it was.
func TestAnInterruptedReplayResumes(t *testing.T) {
	const seed, chunk, batch = 3, 25, 4
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a schedule, not a secret
	from, _ := generated(t, 600, 1)
	o, conn := migrated(t, from)
	proxies := interposed(t, &o)
	o.ChunkEvents = chunk
	t.Cleanup(projection.Tune(batch, 20_000))

	position, attempts := int64(0), 0
	for done := false; !done; attempts++ {
		if attempts > 400 {
			t.Fatalf("no end after %d attempts, at position %d", attempts, position)
		}
		proxies[random.IntN(2)].CutAt(1+random.IntN(120), random.IntN(2) == 0)
		result, err := replayOnce(t, o)
		done = err == nil
		if result.Position != 0 && result.Position < position {
			t.Fatalf("went back from %d to %d", position, result.Position)
		}
		position = max(position, result.Position)
	}
	t.Logf("%d attempts", attempts)
	if attempts < 5 {
		t.Errorf("only %d attempts: the test cuts nothing", attempts)
	}
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
	assertOnce(t, conn)
}

// A follower goes on by itself after each cut, while events keep coming.
func TestAnInterruptedFollowerMissesAndRepeatsNothing(t *testing.T) {
	const seed, rounds = 4, 20
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a schedule, not a secret
	from, writer := generated(t, 100, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	proxies := interposed(t, &o)
	o.ChunkEvents = 7
	stop := inBackground(t, conn, o)

	for round := range rounds {
		if err := library.Generate(t.Context(), writer, log, 20, uint64(100+round), nil); err != nil { //nolint:gosec // a seed
			t.Fatal(err)
		}
		cut := proxies[random.IntN(2)].CutAt(1+random.IntN(60), random.IntN(2) == 0)
		select {
		case <-cut:
		case <-time.After(300 * time.Millisecond):
		}
	}
	waitFor(t, conn, 100+20*rounds)
	if err := stop(); err != nil {
		t.Errorf("the follower ended with %v", err)
	}
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
	assertOnce(t, conn)
	if epochs := count(t, conn, "SELECT epoch FROM checkpoint"); epochs < 5 {
		t.Errorf("only %d sessions: the test cuts nothing", epochs)
	}
}

// The server loses what it had not written to disk, and the checkpoint with it.
func TestAFollowerSurvivesAKilledServer(t *testing.T) {
	from, writer := generated(t, 100, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	stop := inBackground(t, conn, o)
	for round := range 3 {
		if err := library.Generate(t.Context(), writer, log, 200, uint64(10+round), nil); err != nil { //nolint:gosec // a seed
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		server.Kill()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		writer = connect(t, from)
	}
	conn = connect(t, o.Database)
	waitFor(t, conn, count(t, writer, "SELECT max(position) FROM events"))
	if err := stop(); err != nil {
		t.Errorf("the follower ended with %v", err)
	}
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
	assertOnce(t, conn)
}

// What is reported decides which version serves, so it must outlive a crash.
func TestAReportIsNeverAheadOfWhatACrashLeaves(t *testing.T) {
	from, writer := generated(t, 10, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	for round := range 3 {
		heard := &reports{}
		o.Reporter = heard
		stop := inBackground(t, conn, o)
		before := count(t, conn, "SELECT position FROM checkpoint")
		// Later appends would have the server write the follower's commits too.
		if err := library.Generate(t.Context(), writer, log, 20, uint64(100+round), nil); err != nil { //nolint:gosec // a seed
			t.Fatal(err)
		}
		for !heard.any(func(r projection.Report) bool { return r.Position > before }) {
			time.Sleep(time.Millisecond)
		}
		server.Kill()
		told := heard.last().Position
		if err := stop(); err != nil {
			t.Errorf("the follower ended with %v", err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		writer, conn = connect(t, from), connect(t, o.Database)
		if left := count(t, conn, "SELECT position FROM checkpoint"); left < told {
			t.Errorf("round %d: the crash left position %d, %d was reported", round, left, told)
		}
	}
}
