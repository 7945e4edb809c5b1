package projection_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

func TestUntilStopsExactlyThere(t *testing.T) {
	from, writer := source(t)
	o, conn := migrated(t, from)
	replay(t, o)
	if err := library.Generate(t.Context(), writer, log, 30, 1, nil); err != nil {
		t.Fatal(err)
	}
	at := func() int64 { return count(t, conn, "SELECT position FROM checkpoint") }

	o.ChunkEvents = 4
	if follow(t, o, 17); at() != 17 {
		t.Errorf("the checkpoint is at %d, want 17", at())
	}
	if follow(t, o, 17); at() != 17 {
		t.Errorf("the checkpoint is at %d, want 17 again", at())
	}
	o.Until = 16
	if _, err := projection.Follow(t.Context(), o); !errors.As(err, new(*projection.StageError)) {
		t.Errorf("back to 16: %v", err)
	}

	hole(t, writer)
	end := add(t, writer, deletion(t))[0]
	if follow(t, o, end-1); at() != 30 {
		t.Errorf("the checkpoint is at %d, want 30: %d holds no event", at(), end-1)
	}
	if follow(t, o, end); at() != end {
		t.Errorf("the checkpoint is at %d, want %d", at(), end)
	}
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
}

func deletion(t testing.TB) eventlog.NewEvent {
	t.Helper()
	e, err := library.NewReciterDeleted(uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// hole draws a position that never holds an event.
func hole(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(t, conn, deletion(t))
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCommandsRefuseTheWrongStage(t *testing.T) {
	from, _ := generated(t, 10, 1)
	o, _ := migrated(t, from)
	_, err := projection.Follow(t.Context(), o)
	if refused, ok := errors.AsType[*projection.StageError](err); !ok || refused.Stage != projection.StageEmpty || !strings.Contains(err.Error(), "nawhas replay") {
		t.Errorf("follow of an empty database: %v", err)
	}
	bare := o
	bare.Database = server.Database(t)
	for name, run := range map[string]func(context.Context, projection.Options) (projection.Result, error){"replay": projection.Replay, "follow": projection.Follow} {
		if _, err := run(t.Context(), bare); !errors.As(err, new(*projection.StageError)) || !strings.Contains(err.Error(), "nawhas migrate") {
			t.Errorf("%s of a database without tables: %v", name, err)
		}
	}
	replay(t, o)
	if again := replay(t, o); again.Events != 0 || again.Position != 10 {
		t.Errorf("a second replay did %+v", again)
	}
	if _, err := projection.Replay(t.Context(), projection.Options{Source: server.Database(t), Database: o.Database, NewModel: o.NewModel}); !errors.As(err, new(*eventlog.PreconditionError)) {
		t.Errorf("a source without a log: %v", err)
	}
}

func TestAnotherLogIsRecognised(t *testing.T) {
	from, writer := generated(t, 40, 1)
	o, _ := migrated(t, from)
	replay(t, o)
	if _, err := writer.Exec(t.Context(), "UPDATE events SET id = gen_random_uuid() WHERE position = 38"); err != nil {
		t.Fatal(err)
	}
	_, err := projection.Follow(t.Context(), o)
	if diverged, ok := errors.AsType[*eventlog.DivergedError](err); !ok || diverged.Position != 38 {
		t.Errorf("got %v, want a difference at 38", err)
	}
}

func TestASilentHolderIsEndedAndAWorkingOneIsNot(t *testing.T) {
	from, _ := generated(t, 10, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	o.Silence = 3 * time.Second
	stop := inBackground(t, conn, o)
	epoch := count(t, conn, "SELECT epoch FROM checkpoint")

	waiting := o
	impatient, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := projection.Follow(impatient, waiting); err != nil {
		t.Errorf("a follower that waits: %v", err)
	}
	if now := count(t, conn, "SELECT epoch FROM checkpoint"); now != epoch {
		t.Errorf("the epoch went from %d to %d: a working follower was ended", epoch, now)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}

	silent := connect(t, o.Database)
	if _, err := silent.Exec(t.Context(), "SELECT pg_advisory_lock($1)", int64(0x6e61776861730002)); err != nil {
		t.Fatal(err)
	}
	o.Silence = 100 * time.Millisecond
	follow(t, o, 10)
	if err := silent.Ping(t.Context()); err == nil {
		t.Error("the silent session still lives")
	}
}

func TestASleeperFindsThatItWasTakenOver(t *testing.T) {
	from, writer := generated(t, 10, 1)
	o, conn := migrated(t, from)
	replay(t, o)
	ended := make(chan error, 1)
	before := count(t, conn, "SELECT epoch FROM checkpoint")
	go func() {
		_, err := projection.Follow(t.Context(), o)
		ended <- err
	}()
	for count(t, conn, "SELECT epoch FROM checkpoint") == before {
		time.Sleep(time.Millisecond)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE checkpoint SET epoch = epoch + 1"); err != nil {
		t.Fatal(err)
	}
	add(t, writer, deletion(t))
	if err := <-ended; !errors.As(err, new(*projection.TakenOverError)) {
		t.Errorf("got %v", err)
	}
	if at := count(t, conn, "SELECT position FROM checkpoint"); at != 10 {
		t.Errorf("the sleeper moved the checkpoint to %d", at)
	}
}
