package projection_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// interposed puts a proxy before each of the two databases.
func interposed(t testing.TB, o *projection.Options) []*pgtest.Proxy {
	t.Helper()
	var source, database *pgtest.Proxy
	source, o.Source = pgtest.NewProxy(t, o.Source)
	database, o.Database = pgtest.NewProxy(t, o.Database)
	return []*pgtest.Proxy{source, database}
}

// replayOnce is one attempt, which may fail.
func replayOnce(t testing.TB, o projection.Options) (projection.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return projection.Replay(ctx, o)
}

// inBackground runs a follower until stop, which returns its error. It returns
// when the follower has begun to work.
func inBackground(t testing.TB, conn *pgx.Conn, o projection.Options) (stop func() error) {
	t.Helper()
	before := count(t, conn, "SELECT epoch FROM checkpoint")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := projection.Follow(ctx, o)
		ended <- err
	}()
	t.Cleanup(cancel)
	for count(t, conn, "SELECT epoch FROM checkpoint") == before && len(ended) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	return func() error {
		cancel()
		return <-ended
	}
}

// waitFor waits until the checkpoint has come to the position.
func waitFor(t testing.TB, conn *pgx.Conn, position int64) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		checkpoint, err := projection.ReadCheckpoint(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if checkpoint.Position >= position {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the checkpoint is at %d after 20 s, want %d", checkpoint.Position, position)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
