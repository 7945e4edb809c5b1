//go:build e2e

// Package e2e runs releases on a real cluster: real pods, real images, a real
// Postgres, and the operator as it is installed from config/default.
//
// Every test has a namespace, a log and a prefix of its own, and removes them.
// Start it with `make test-e2e`.
package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const (
	patience = 4 * time.Minute
	look     = 100 * time.Millisecond
)

var shared *cluster.Cluster

func TestMain(m *testing.M) {
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func setUp() error {
	root, err := repository()
	if err != nil {
		return err
	}
	shared, err = cluster.Connect(root)
	if err != nil {
		return err
	}
	return shared.InstallOperator(context.Background())
}

func repository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; folder != "/"; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "PROJECT")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("find the repository above this folder")
}

// world is what one test has for itself.
type world struct {
	t         *testing.T
	namespace string
	prefix    string
	source    string // the log's database
}

// newWorld makes a namespace with Secrets and a log with generated events.
func newWorld(t *testing.T, events int) *world {
	t.Helper()
	id := rand.String(5)
	w := &world{t: t, namespace: "e2e-" + id, prefix: "e2e_" + id + "_v", source: "e2e_" + id + "_source"}
	t.Logf("namespace %s, %d events of seed 7", w.namespace, events)
	w.exec(shared.AuditURL, fmt.Sprintf("CREATE DATABASE %s OWNER nawhas_source", w.source))
	t.Cleanup(func() { w.exec(shared.AuditURL, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", w.source)) })
	w.nawhas("source", "init")
	w.nawhas("generate", "--events", fmt.Sprint(events), "--seed", "7")

	if err := shared.Prepare(t.Context(), w.namespace, w.sourceURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := w.cleaning()
		defer cancel()
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "nawhas-uploads-" + w.namespace}}
		for _, object := range []client.Object{namespace, volume} {
			if err := client.IgnoreNotFound(shared.Delete(ctx, object)); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := shared.Kubectl(t.Context(), "-n", w.namespace, "apply", "-f", "config/samples/uploads.yaml"); err != nil {
		t.Fatal(err)
	}
	return w
}

// create applies the sample with the given changes, and has it deleted with
// its databases when the test ends.
func (w *world) create(change func(*v1alpha1.NawhasRelease)) {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(shared.Root, "config", "samples", "nawhasrelease.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	var release v1alpha1.NawhasRelease
	if err := yaml.UnmarshalStrict(content, &release); err != nil {
		w.t.Fatal(err)
	}
	release.Namespace = w.namespace
	release.Spec.Databases.Prefix = w.prefix
	release.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	change(&release)
	if err := shared.Create(w.t.Context(), &release); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.explain()
		}
		w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
		w.delete()
	})
}

// get reads the release, or nil when it is gone.
func (w *world) get(ctx context.Context) *v1alpha1.NawhasRelease {
	w.t.Helper()
	var release v1alpha1.NawhasRelease
	err := shared.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, &release)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return &release
}

// update changes the release, if it is there.
func (w *world) update(change func(*v1alpha1.NawhasRelease)) {
	w.t.Helper()
	ctx, cancel := w.cleaning()
	defer cancel()
	release := w.get(ctx)
	if release == nil {
		return
	}
	patch := client.MergeFrom(release.DeepCopy())
	change(release)
	if err := shared.Patch(ctx, release, patch); err != nil {
		w.t.Fatal(err)
	}
}

// delete removes the release and waits until the operator has let it go.
func (w *world) delete() {
	w.t.Helper()
	ctx, cancel := w.cleaning()
	defer cancel()
	release := w.get(ctx)
	if release == nil {
		return
	}
	if err := client.IgnoreNotFound(shared.Delete(ctx, release)); err != nil {
		w.t.Fatal(err)
	}
	if err := cluster.Until(ctx, look, func() (bool, error) { return w.get(ctx) == nil, nil }); err != nil {
		w.explain()
		w.t.Fatalf("the release was not let go: %v", err)
	}
}

// until waits for something to be true of the release.
func (w *world) until(what string, check func(*v1alpha1.NawhasRelease) bool) *v1alpha1.NawhasRelease {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var release *v1alpha1.NawhasRelease
	err := cluster.Until(ctx, look, func() (bool, error) {
		release = w.get(ctx)
		return release != nil && check(release), nil
	})
	if err != nil {
		w.t.Fatalf("not %s after %s", what, patience)
	}
	return release
}

func (w *world) untilLive() *v1alpha1.NawhasRelease {
	w.t.Helper()
	return w.until("live", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.ObservedGeneration == r.Generation && meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady)
	})
}

func (w *world) untilReason(condition, reason string) *metav1.Condition {
	w.t.Helper()
	release := w.until(condition+" "+reason, func(r *v1alpha1.NawhasRelease) bool {
		c := meta.FindStatusCondition(r.Status.Conditions, condition)
		return c != nil && c.Status != metav1.ConditionTrue && c.Reason == reason
	})
	return meta.FindStatusCondition(release.Status.Conditions, condition)
}

// audit fails the test on any difference between the log and the database.
func (w *world) audit(database string, events int) audit.Findings {
	w.t.Helper()
	findings, err := audit.Run(w.t.Context(), w.at(w.source), w.at(database))
	if err != nil {
		w.t.Fatal(err)
	}
	if !findings.Clean() || findings.Behind != 0 || findings.Events < int64(events) {
		w.t.Fatalf("the audit found: %+v", findings)
	}
	return findings
}

func (w *world) nawhas(args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(shared.Root, "bin", "linux", "nawhas"), args...)
	cmd.Env = append(os.Environ(), "NAWHAS_SOURCE_URL="+w.sourceURL())
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("nawhas %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (w *world) sourceURL() string { return onDatabase(w.t, shared.SourceURL, w.source) }

// at is a database, seen by an account that may read everything.
func (w *world) at(database string) string { return onDatabase(w.t, shared.AuditURL, database) }

func onDatabase(t *testing.T, connection, database string) string {
	t.Helper()
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal("a connection string is not a URL")
	}
	u.Path = "/" + database
	return u.String()
}

func (w *world) exec(connection, statement string) {
	w.t.Helper()
	w.with(connection, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

func (w *world) count(connection, query string) (n int64) {
	w.t.Helper()
	w.with(connection, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, query).Scan(&n) })
	return n
}

func (w *world) with(connection string, use func(context.Context, *pgx.Conn) error) {
	w.t.Helper()
	ctx, cancel := w.cleaning()
	defer cancel()
	conn, err := pgx.Connect(ctx, connection)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := use(ctx, conn); err != nil {
		w.t.Fatal(err)
	}
}

// cleaning is a context for what also has to work when the test is over.
func (w *world) cleaning() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.t.Context()), patience)
}

// explain prints what one would look at.
func (w *world) explain() {
	ctx, cancel := w.cleaning()
	defer cancel()
	for _, args := range [][]string{
		{"-n", w.namespace, "describe", "nawhasrelease"},
		{"-n", w.namespace, "get", "pods,jobs,services", "-o", "wide"},
		{"-n", cluster.OperatorNamespace, "logs", "deployment/" + cluster.Operator, "--tail", "60"},
	} {
		out, err := shared.Kubectl(ctx, args...)
		if err != nil {
			out = err.Error()
		}
		w.t.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
}
