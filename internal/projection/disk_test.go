package projection_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

const (
	diskFull = "53100"
	roomy    = 256 << 20
)

// A full disk stops a replay at its last chunk; with more room it goes on from
// there.
func TestAFullDiskHoldsAReplayUp(t *testing.T) {
	const events, chunk = 10_000, 500
	from, admin := generated(t, events, 1)
	disk := smallDisk(t, admin)
	o := projection.Options{Source: from, NewModel: edition(t).Model, ChunkEvents: chunk, Database: onDisk(t, disk)}
	conn := connect(t, o.Database)
	if err := library.Migrate(t.Context(), conn, edition(t)); err != nil {
		t.Fatal(err)
	}

	resize(t, disk, used(t, disk)+2<<20)
	_, err := projection.Replay(t.Context(), o)
	if full, ok := errors.AsType[*pgconn.PgError](err); !ok || full.Code != diskFull {
		t.Fatalf("on a full disk: %v", err)
	}
	stopped := count(t, conn, "SELECT position FROM checkpoint")
	if stopped == 0 || stopped == events {
		t.Errorf("stopped at %d of %d", stopped, events)
	}
	resize(t, disk, roomy)
	if result := replay(t, o); result.Events != events-stopped {
		t.Errorf("stopped at %d and applied %d then", stopped, result.Events)
	}
	assertSame(t, contentHash(t, conn), rebuilt(t, from))
	assertOnce(t, conn)
}

// smallDisk mounts a disk that the server may write to.
func smallDisk(t *testing.T, admin *pgx.Conn) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk takes root to make")
	}
	var folder string
	if err := admin.QueryRow(t.Context(), "SHOW data_directory").Scan(&folder); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	disk, err := os.MkdirTemp("/tmp", "nawhas-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(disk) })
	mount(t, "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0700,uid=%d,gid=%d", roomy, owner.Uid, owner.Gid), "tmpfs", disk)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
	return disk
}

func mount(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "mount", arguments...).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be made here: %v %s", err, out)
	}
}

func resize(t *testing.T, disk string, size int64) {
	t.Helper()
	mount(t, "-o", fmt.Sprintf("remount,size=%d", size), disk)
}

func used(t *testing.T, disk string) int64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(disk, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize //nolint:gosec // a small disk
}

// onDisk makes a database on the disk and returns its URL.
func onDisk(t *testing.T, disk string) string {
	t.Helper()
	server.Exec(t, "postgres", "CREATE TABLESPACE small LOCATION '"+disk+"'", "CREATE DATABASE on_small TABLESPACE small")
	t.Cleanup(func() {
		admin, err := pgx.Connect(context.Background(), server.URL("postgres"))
		if err != nil {
			return
		}
		_, _ = admin.Exec(context.Background(), "DROP DATABASE on_small WITH (FORCE)")
		_, _ = admin.Exec(context.Background(), "DROP TABLESPACE small")
		_ = admin.Close(context.Background())
	})
	return server.URL("on_small")
}
