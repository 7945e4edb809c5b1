package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// accounts are the two roles the operator gets: what an owner of a managed
// Postgres can have, and no superuser. One server serves both here.
type accounts struct {
	Source    string `json:"source"`    // password of nawhas_source: owns the log's database, CREATEROLE
	Databases string `json:"databases"` // password of nawhas_databases: CREATEDB, CREATEROLE
}

func (a accounts) sourceURL() string { return postgresURL("nawhas_source", a.Source, "source") }
func (a accounts) databasesURL() string {
	return postgresURL("nawhas_databases", a.Databases, "postgres")
}

// superuserURL is for looking around and for audits; it works without a
// password from inside the node's network only.
func superuserURL() string {
	return "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
}

func postgresURL(role, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: nodeAddress + ":5432", Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func postgres(home layout) process {
	return process{home: home, name: "postgres"}
}

// startPostgres makes the data folder on the first start. Postgres refuses to
// run as root, so it gets the account "postgres" of the Debian package.
func startPostgres(ctx context.Context, home layout) error {
	credential, err := lookUp("postgres")
	if err != nil {
		return err
	}
	programs, err := postgresPrograms()
	if err != nil {
		return err
	}
	data, err := dataFolder(home, credential)
	if err != nil {
		return err
	}
	p := postgres(home)
	if p.pid() == 0 {
		if err := initialise(ctx, home, data, programs, credential); err != nil {
			return err
		}
		// After a kill the lock can name a process that has not been reaped.
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the lock of Postgres: %w", err)
		}
	}
	p.account = credential
	p.argv = []string{filepath.Join(programs, "postgres"), "-D", data, "-c", "listen_addresses=127.0.0.1," + nodeAddress,
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"}
	if err := p.start(); err != nil {
		return err
	}
	err = p.ready(ctx, func(ctx context.Context) error {
		return psql(ctx, "SELECT 1")
	})
	if err != nil {
		return err
	}
	return createAccounts(ctx, home)
}

// The rules written here replace initdb's, so its --auth never counts.
func initialise(ctx context.Context, home layout, data, programs string, credential *syscall.Credential) error {
	if _, err := readAccounts(home); err == nil {
		return nil
	}
	// Without the accounts' passwords, data that is there was never finished.
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("remove unfinished data of Postgres: %w", err)
	}
	if err := own(data, credential); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "-D", data, "-U", "postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	rules := "host all postgres 127.0.0.1/32 trust\nhost all postgres all reject\nhost all all all scram-sha-256\n"
	path := filepath.Join(data, "pg_hba.conf")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	return os.Chown(path, int(credential.Uid), int(credential.Gid))
}

// createAccounts makes the roles and the database of the log, once.
func createAccounts(ctx context.Context, home layout) error {
	if _, err := readAccounts(home); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a := accounts{Source: rand.Text(), Databases: rand.Text()}
	for _, statement := range []string{
		fmt.Sprintf("CREATE ROLE nawhas_source LOGIN CREATEROLE PASSWORD '%s'", a.Source),
		fmt.Sprintf("CREATE ROLE nawhas_databases LOGIN CREATEDB CREATEROLE PASSWORD '%s'", a.Databases),
		"CREATE DATABASE source OWNER nawhas_source",
		"REVOKE CONNECT ON DATABASE source FROM PUBLIC",
	} {
		if err := psql(ctx, statement); err != nil {
			return fmt.Errorf("create the operator's accounts: %w", err)
		}
	}
	content, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write the operator's accounts: %w", err)
	}
	return home.write("accounts.json", string(content))
}

func readAccounts(home layout) (accounts, error) {
	var a accounts
	content, err := os.ReadFile(home.path("accounts.json"))
	if err != nil {
		return a, fmt.Errorf("read the operator's accounts: %w", err)
	}
	if err := json.Unmarshal(content, &a); err != nil {
		return a, fmt.Errorf("read the operator's accounts: %w", err)
	}
	return a, nil
}

// dataFolder is bin/postgres, or a folder under /var/tmp when the checkout is
// where the account "postgres" may not go, such as the home of root.
func dataFolder(home layout, credential *syscall.Credential) (string, error) {
	near, far := dataFolders(home)
	if err := own(near, credential); err != nil {
		return "", err
	}
	if traversable(near, credential) {
		return near, nil
	}
	if err := os.Remove(near); err != nil {
		return "", fmt.Errorf("remove %s: %w", near, err)
	}
	fmt.Printf("the account postgres cannot reach %s; Postgres' data is in %s\n", near, far)
	return far, own(far, credential)
}

func dataFolders(home layout) (near, far string) {
	return filepath.Join(filepath.Dir(home.programs), "postgres"), "/var/tmp/nawhas-postgres-" + home.id
}

func own(folder string, credential *syscall.Credential) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the data folder of Postgres: %w", err)
	}
	if err := os.Chown(folder, int(credential.Uid), int(credential.Gid)); err != nil {
		return fmt.Errorf("hand over the data folder of Postgres: %w", err)
	}
	return nil
}

// traversable asks the kernel, as that account, instead of reading mode bits.
func traversable(folder string, credential *syscall.Credential) bool {
	cmd := exec.Command("test", "-x", folder)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return cmd.Run() == nil
}

func psql(ctx context.Context, statement string) error {
	out, err := exec.CommandContext(ctx, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", superuserURL(), "-c", statement).CombinedOutput()
	if err != nil {
		return fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("find Postgres: nothing in /usr/lib/postgresql")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })
	return filepath.Dir(newest), nil
}

func major(path string) int {
	version, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return version
}

func lookUp(name string) (*syscall.Credential, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("find the account %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the account %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the account %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
