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
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/test/node"
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
	var err error
	if shared, err = node.Connect(); err != nil {
		return err
	}
	return shared.InstallOperator(context.Background())
}

// world is what one test has for itself.
type world struct {
	*node.Room
	t *testing.T
}

// newWorld has no release yet.
func newWorld(t *testing.T, events int) *world {
	t.Helper()
	w := &world{Room: node.NewRoom(t, shared, "e2e", events), t: t}
	node.Kubectl(t, shared, "-n", w.Namespace, "apply", "-f", "config/samples/uploads.yaml")
	return w
}

// create applies the sample with the given changes, and has it deleted with
// its databases when the test ends.
func (w *world) create(change func(*v1alpha1.NawhasRelease)) {
	w.t.Helper()
	release, err := shared.Sample(w.Namespace, w.Prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	change(release)
	if err := shared.Create(w.t.Context(), release); err != nil {
		w.t.Fatal(err)
	}
	node.Cleanup(w.t, func(ctx context.Context) error {
		if w.t.Failed() {
			w.explain()
		}
		return w.DropRelease(ctx)
	})
}

// delete removes the release as its deletionPolicy says.
func (w *world) delete() {
	w.t.Helper()
	if err := w.DeleteRelease(w.t.Context()); err != nil {
		w.explain()
		w.t.Fatal(err)
	}
}

// until waits for something to be true of the release.
func (w *world) until(what string, check func(*v1alpha1.NawhasRelease) bool) *v1alpha1.NawhasRelease {
	w.t.Helper()
	var release *v1alpha1.NawhasRelease
	node.Until(w.t, what, func(context.Context) bool {
		release = w.Release(w.t)
		return check(release)
	})
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
	findings, err := audit.Run(w.t.Context(), w.source(), w.at(database))
	if err != nil {
		w.t.Fatal(err)
	}
	if !findings.Clean() || findings.Behind != 0 || findings.Events < int64(events) {
		w.t.Errorf("the audit of %s found: %+v", database, findings)
	}
	return findings
}

func (w *world) sourceURL() string { return w.Log.URL }

// source is the log, seen by an account that may read everything.
func (w *world) source() string { return w.at(w.Log.Database) }

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
		{"-n", w.Namespace, "describe", "nawhasrelease"},
		{"-n", w.Namespace, "get", "pods,jobs,services", "-o", "wide"},
		{"-n", cluster.OperatorNamespace, "logs", "deployment/" + cluster.Operator, "--tail", "60"},
	} {
		out, err := shared.Kubectl(ctx, args...)
		if err != nil {
			out = err.Error()
		}
		w.t.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
}
