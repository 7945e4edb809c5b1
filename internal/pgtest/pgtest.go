// Package pgtest starts a real Postgres server for tests: its own data folder,
// its own port on the loopback address, removed when the tests end.
//
// It does not share servers between test binaries and hides nothing of
// Postgres: tests get URLs and open their own connections. The server's
// programs are found in PATH or where Debian and its kin install them.
package pgtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const startTimeout = 60 * time.Second

// Server is a running Postgres. Its superuser is "postgres" and needs no
// password; other roles authenticate with scram-sha-256.
type Server struct {
	bin, dir string
	port     int
	serial   atomic.Int64
	account  *syscall.Credential
	settings []string
	process  *exec.Cmd
}

// Start makes a data folder and starts a server in it. Settings are
// "name=value" pairs of postgresql.conf.
func Start(settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nawhas-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for Postgres: %w", err)
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	if err := s.initialise(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := s.Restart(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// quick spares what costs tests time and only matters after a power cut, or to
// queries that run for long: the first page image after each checkpoint, and
// compiled expressions.
var quick = []string{"full_page_writes=off", "jit=off"}

// Run starts a server for all tests of a package, keeps it in *server and
// returns the exit code for TestMain.
func Run(m *testing.M, server **Server, settings ...string) int {
	s, err := Start(slices.Concat(quick, settings)...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	*server = s
	return m.Run()
}

// URL is the superuser's connection string to the named database.
func (s *Server) URL(database string) string {
	return s.URLAs("postgres", "", database)
}

// URLAs is the connection string of any role to the named database.
func (s *Server) URLAs(role, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), RawQuery: "sslmode=disable"}
	return u.String()
}

// Database creates an empty database for one test and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.serial.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err != nil {
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, _ = conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return s.URL(name)
}

// Program is the path of one of the programs that came with the server, such
// as pg_dump.
func (s *Server) Program(name string) string { return filepath.Join(s.bin, name) }

// Exec runs statements as the superuser and fails the test when one fails.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL(database))
	if err != nil {
		t.Fatalf("connect to %s: %v", database, err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Kill ends the server as a power cut would: no shutdown, no checkpoint. The
// processes of its sessions are groups of their own, so each is ended too;
// one that lived on would keep the shared memory and the next start out.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	postmaster := s.process.Process
	_ = postmaster.Signal(syscall.SIGSTOP)
	for _, pid := range children(postmaster.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = postmaster.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// Restart starts the server on its data folder after Kill or Stop.
func (s *Server) Restart() error {
	if s.port == 0 {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
	}
	// Processes of a killed server may need a moment to let go.
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.launch()
		if err == nil || s.process != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// launch starts the server once. It leaves no process when the server ended
// by itself.
func (s *Server) launch() error {
	_ = os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
	args := []string{"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off", "-c", "shared_buffers=128MB"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of Postgres: %w", err)
	}
	defer func() { _ = log.Close() }()
	s.process = s.command("postgres", args...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.process = nil
		return fmt.Errorf("start Postgres: %w", err)
	}
	return s.wait()
}

// Stop shuts the server down cleanly, ending its sessions.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGINT)
	_ = s.process.Wait()
	s.process = nil
}

// Close stops the server and removes its data.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

func (s *Server) wait() error {
	deadline := time.Now().Add(startTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		cancel()
		if err == nil {
			return conn.Close(context.Background())
		}
		dead := ended(s.process.Process.Pid)
		if dead {
			_ = s.process.Wait()
			s.process = nil
		}
		if dead || time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server did not start: %w\n%s", err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// initialise makes the data folder. Postgres refuses to run as root, so root
// hands the folder to the account "postgres" or, without one, "nobody".
func (s *Server) initialise() error {
	if os.Geteuid() == 0 {
		account, err := unprivileged()
		if err != nil {
			return err
		}
		s.account = account
		if err := os.Chown(s.dir, int(account.Uid), int(account.Gid)); err != nil {
			return fmt.Errorf("hand over the folder of Postgres: %w", err)
		}
	}
	cmd := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--auth-local=trust")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	rules := "local all all trust\nlocal replication postgres trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(s.dir, "data", "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	return nil
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(s.Program(program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.account}
	if runtime.GOOS == "linux" {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGINT
	}
	return cmd
}
