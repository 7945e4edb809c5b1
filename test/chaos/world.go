package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/load"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
	"github.com/nawhas/nawhas-operator/test/chaos/pgproxy"
)

// events are in the log before anything is released.
const events = "400"

// programs are the paths of what is run.
type programs struct {
	operator string
	// nawhas is the application, by version.
	nawhas map[string]string
}

// world is one run's own: a namespace, a Postgres, an operator and clients.
type world struct {
	cluster   *cluster
	programs  programs
	plan      plan
	namespace string
	// folder has the logs of all programs.
	folder string
	log    *slog.Logger

	book     *killpoint.Book
	postgres *pgtest.Server
	proxy    *pgproxy.Proxy
	// address is where the operator finds Postgres.
	address string
	node    *node.Node

	// power is held while Postgres has none.
	power sync.Mutex
	// came is what the audits have found so far.
	came audit.Findings

	mu        sync.Mutex
	operators []*operator
	// faults are those that happened, and late the writes of operators that had
	// been superseded.
	faults map[fault]int
	late   int
	// excused are roles that have a right which the operator has yet to take.
	excused map[string]bool
	files   map[string]*os.File
}

// build makes the world. What was made of it is closed when that fails.
func build(ctx context.Context, c *cluster, p programs, pl plan, folder string) (w *world, err error) {
	w = &world{cluster: c, programs: p, plan: pl, namespace: fmt.Sprintf("chaos-%d", pl.seed), folder: folder, book: killpoint.NewBook(),
		files: map[string]*os.File{}, faults: map[fault]int{}, excused: map[string]bool{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.RemoveAll(folder); err != nil {
		return w, fmt.Errorf("empty the folder of logs: %w", err)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return w, fmt.Errorf("make the folder of logs: %w", err)
	}
	schedule, err := w.output("schedule")
	if err != nil {
		return w, err
	}
	w.log = slog.New(slog.NewTextHandler(schedule, nil))
	w.log.Info("plan", "seed", pl.seed, "plan", pl.String(), "targets", pl.targets)
	if err := w.startPostgres(ctx); err != nil {
		return w, err
	}
	if err := w.prepareCluster(ctx); err != nil {
		return w, err
	}
	w.node = node.Start(ctx, node.Options{Client: c.client, Namespace: w.namespace, Program: w.program, Postgres: w.address, Log: w.log,
		Output: func(pod string) (node.Output, error) { return w.output(pod) },
		Listen: func(process *node.Process) (string, func(), error) {
			return w.proxy.Listen(func(net.Addr) pgproxy.Owner { return process })
		}})
	return w, nil
}

func (w *world) startPostgres(ctx context.Context) error {
	var err error
	if w.postgres, err = pgtest.Start(); err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, w.postgres.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range []string{"CREATE ROLE source LOGIN CREATEROLE PASSWORD 'secret'", "CREATE ROLE databases LOGIN CREATEROLE CREATEDB PASSWORD 'secret'", "CREATE DATABASE log OWNER source", "REVOKE CONNECT ON DATABASE log FROM PUBLIC"} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("prepare Postgres: %w", err)
		}
	}
	for _, arguments := range [][]string{{"source", "init"}, {"generate", "--events", events, "--seed", fmt.Sprint(w.plan.seed)}} {
		command := exec.CommandContext(ctx, w.programs.nawhas[first], arguments...)
		command.Env = []string{"NAWHAS_SOURCE_URL=" + w.postgres.URLAs("source", "secret", "log")}
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("nawhas %s: %w\n%s", arguments[0], err, out)
		}
	}
	target, err := url.Parse(w.postgres.URL("postgres"))
	if err != nil {
		return fmt.Errorf("find Postgres: %w", err)
	}
	w.proxy = pgproxy.New(target.Host, w.book)
	w.address, _, err = w.proxy.Listen(w.ownerOf)
	return err
}

func (w *world) prepareCluster(ctx context.Context) error {
	if err := w.cluster.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}); err != nil {
		return fmt.Errorf("make the namespace: %w", err)
	}
	for name, url := range map[string]string{
		sourceSecret:    "postgres://source:secret@" + w.address + "/log?sslmode=disable",
		databasesSecret: "postgres://databases:secret@" + w.address + "/postgres?sslmode=disable",
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: map[string]string{"url": url}}
		if err := w.cluster.client.Create(ctx, secret); err != nil {
			return fmt.Errorf("make the Secrets: %w", err)
		}
	}
	return nil
}

// close ends everything that runs. The namespace's objects are the garbage
// collector's.
func (w *world) close() {
	w.book.Disarm()
	for _, o := range w.running() {
		o.stop()
	}
	if w.node != nil {
		w.node.Stop()
	}
	if w.proxy != nil {
		w.proxy.Close()
	}
	if w.postgres != nil {
		w.postgres.Close()
	}
	_ = w.cluster.client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, file := range w.files {
		_ = file.Close()
	}
}

func (w *world) running() []*operator {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.operators)
}

func (w *world) forget(gone *operator) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operators = slices.DeleteFunc(w.operators, func(o *operator) bool { return o == gone })
}

// program is the program of an image.
func (w *world) program(tag string) (string, error) {
	path := w.programs.nawhas[tag]
	if path == "" {
		return "", fmt.Errorf("there is no program for the image %s", tag)
	}
	return path, nil
}

// output is a file of the run's folder to which several may write, one after
// the other.
func (w *world) output(name string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(w.folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	return file, nil
}

// startLoad begins readers and writers at the Service.
func (w *world) startLoad(ctx context.Context) (*load.Load, error) {
	address, err := w.node.Expose(service)
	if err != nil {
		return nil, err
	}
	list, err := os.Create(w.acknowledged())
	if err != nil {
		return nil, fmt.Errorf("make the list of acknowledged writes: %w", err)
	}
	w.mu.Lock()
	w.files["acknowledged"] = list
	w.mu.Unlock()
	return load.Start(ctx, load.Options{URL: "http://" + address, Readers: 2, ReadRate: 5, Writers: 3, WriteRate: 5, Acknowledged: list, Seed: w.plan.seed}), nil
}

func (w *world) acknowledged() string { return filepath.Join(w.folder, "acknowledged.jsonl") }

// source connects to the log past the proxy, as the superuser.
func (w *world) source(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, w.postgres.URL("log"))
}
