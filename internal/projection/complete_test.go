package projection_test

import (
	"testing"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Autovacuum stays away from tables that are being filled, and only from those.
func TestAutovacuumIsBackWhenAReplayIsDone(t *testing.T) {
	const off = "SELECT count(*) FROM pg_class WHERE 'autovacuum_enabled=off' = ANY (reloptions)"
	from, writer := generated(t, 50, 1)
	poison, err := library.NewReciterModified(deletion(t).ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	poison.Version = 99
	add(t, writer, poison)
	o, conn := migrated(t, from)
	if _, err := projection.Replay(t.Context(), o); err == nil {
		t.Fatal("an unknown event did not stop the replay")
	}
	if tables := count(t, conn, off); tables < 5 {
		t.Errorf("autovacuum is off for %d tables in mid-replay", tables)
	}
	o.Skip = append(o.Skip, poison.ID)
	replay(t, o)
	if tables := count(t, conn, off); tables != 0 {
		t.Errorf("autovacuum is still off for %d tables", tables)
	}
}
