package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

// The tests run against a real API server and a real Postgres. What neither has
// is a kubelet: see kubelet_test.go.
var (
	cluster       client.Client
	clusterConfig *rest.Config
	postgres      *pgtest.Server
	worlds        atomic.Int32
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		_ = os.Setenv("KUBEBUILDER_ASSETS", filepath.Join("..", "..", "bin", "kubernetes"))
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	// One client needs no fair share, and these programs have memory to spare.
	environment.ControlPlane.GetAPIServer().Configure().Set("enable-priority-and-fairness", "false")
	_ = os.Setenv("GOGC", "400")
	config, err := environment.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server (make cluster-programs builds it):", err)
		return 1
	}
	defer func() { _ = environment.Stop() }()
	config.QPS, config.Burst = 1000, 1000
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	clusterConfig = config
	if cluster, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, "connect to the API server:", err)
		return 1
	}
	return pgtest.Run(m, &postgres, "max_prepared_transactions=10", "autovacuum=off")
}

// world is a namespace and a pair of accounts of its own on the shared servers.
type world struct {
	t         *testing.T
	namespace string
	// source and databases are what the operator's accounts are called; both have
	// the password "secret".
	source, databases string
	sourceDatabase    string
	prefix            string
	// log is the release's, and appends the statement with which its application
	// appends.
	log        *eventlog.Log
	appends    string
	clock      *clocktesting.FakePassiveClock
	reconciler *Reconciler
	recorder   *events.FakeRecorder
	kubelet    *kubelet
	// auditor is a superuser's session in the source database.
	auditor *pgx.Conn
	// beside runs the Jobs of rounds, where there are any.
	beside *beside
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return another(t)
}

// another is a world beside the one that a test has already.
func another(t *testing.T) *world {
	t.Helper()
	n := worlds.Add(1)
	w := &world{t: t, namespace: fmt.Sprintf("world-%d", n), source: fmt.Sprintf("source_%d", n), databases: fmt.Sprintf("databases_%d", n),
		sourceDatabase: fmt.Sprintf("log_%d", n), prefix: fmt.Sprintf("w%d_v", n), clock: clocktesting.NewFakePassiveClock(time.Now()),
		log: eventlog.New(eventlog.DefaultTable()), appends: appendOne}
	w.must(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	postgres.Exec(t, "postgres",
		fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE PASSWORD 'secret'", w.source),
		fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE CREATEDB PASSWORD 'secret'", w.databases),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", w.sourceDatabase, w.source),
		fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC", w.sourceDatabase))
	conn := w.connect(w.source, "secret", w.sourceDatabase)
	w.must(w.log.Init(t.Context(), conn))
	w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase))
	w.secret("nawhas-databases", postgres.URLAs(w.databases, "secret", "postgres"))
	w.restart(cluster)
	w.kubelet = &kubelet{world: w}
	t.Cleanup(func() { w.reconciler.Close() })
	return w
}

// restart is the operator ended and started again: nothing that it knew is left.
func (w *world) restart(c client.Client) {
	if w.reconciler != nil {
		w.reconciler.Close()
	}
	w.recorder = events.NewFakeRecorder(1000)
	w.reconciler = New(&cachedClient{c}, w.recorder, DefaultSettings())
	w.reconciler.Clock = clock.PassiveClock(w.clock)
	w.reconciler.asker.spawn = func(run func()) { run() }
}

func (w *world) secret(name, url string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	w.must(client.IgnoreNotFound(cluster.Delete(w.t.Context(), secret)))
	w.must(cluster.Create(w.t.Context(), &corev1.Secret{ObjectMeta: secret.ObjectMeta, StringData: map[string]string{"url": url}}))
}

// connect opens a connection that the test's end closes.
func (w *world) connect(role, password, database string) *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), postgres.URLAs(role, password, database))
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// admin connects as the superuser.
func (w *world) admin(database string) *pgx.Conn { return w.connect("postgres", "", database) }

func (w *world) newRelease(change ...func(*v1alpha1.NawhasRelease)) *v1alpha1.NawhasRelease {
	w.t.Helper()
	release := aRelease(w.namespace, w.prefix)
	for _, apply := range change {
		apply(release)
	}
	w.must(cluster.Create(w.t.Context(), release))
	return release
}

// aRelease is the smallest useful release, with a Service.
func aRelease(namespace, prefix string) *v1alpha1.NawhasRelease {
	key := func(name string) v1alpha1.ConnectionSpec {
		return v1alpha1.ConnectionSpec{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "url"}}
	}
	return &v1alpha1.NawhasRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nawhas"},
		Spec: v1alpha1.NawhasReleaseSpec{
			Version:   "3.1.2",
			Image:     v1alpha1.ImageSpec{Repository: "ghcr.io/nawhas/api"},
			Source:    v1alpha1.SourceSpec{Connection: key("nawhas-source")},
			Databases: v1alpha1.DatabasesSpec{Connection: key("nawhas-databases"), Prefix: prefix},
			Workloads: []v1alpha1.Workload{{
				Name:     "api",
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Args: []string{"serve"}}}}},
				Service:  &v1alpha1.WorkloadService{Name: "nawhas-api", Ports: []v1alpha1.ServicePort{{Port: 80}}},
			}},
		},
	}
}

func (w *world) get() *v1alpha1.NawhasRelease {
	w.t.Helper()
	release := &v1alpha1.NawhasRelease{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, release))
	return release
}

// update changes the release as a user would.
func (w *world) update(change func(*v1alpha1.NawhasRelease)) {
	w.t.Helper()
	release := w.get()
	before := release.DeepCopy()
	change(release)
	w.must(cluster.Patch(w.t.Context(), release, client.MergeFrom(before)))
}

func (w *world) release(version string) {
	w.t.Helper()
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Version = version })
}

// pass lets the operator make one pass.
func (w *world) pass() (ctrl.Result, error) {
	w.t.Helper()
	result, err := w.reconciler.Reconcile(w.t.Context(), w.request())
	w.fenced()
	return result, err
}

// undefinedTable is Postgres' code of an error.
const undefinedTable = "42P01"

// fenced holds a pass to what the ledger says at its end: when a version is live
// and the others are fenced, none of those can append.
func (w *world) fenced() {
	w.t.Helper()
	if w.auditor == nil {
		w.auditor = w.admin(w.sourceDatabase)
	}
	var others []string
	err := w.auditor.QueryRow(w.t.Context(), `SELECT array_agg(o.version) FROM nawhas_ledger.versions v
		JOIN nawhas_ledger.stages s ON (s.release, s.version) = (v.release, v.version) AND s.name = 'Fenced' AND s.finished_at IS NOT NULL
		JOIN nawhas_ledger.versions o ON o.release = v.release AND o.version <> v.version
		JOIN pg_roles r ON r.rolname = o.app_role AND has_any_column_privilege(r.oid, 'events', 'INSERT')
		WHERE v.role = 'Live'`).Scan(&others)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == undefinedTable {
		return // there is no ledger, or no log
	}
	w.must(err)
	if len(others) > 0 {
		w.t.Errorf("the ledger says fenced, and versions %v can append", others)
	}
}

func (w *world) request() ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}}
}

// passes bounds how long a test waits: a release takes some tens of them.
const passes = 120

// until lets the operator and the kubelet work until the release is as wanted.
func (w *world) until(what string, done func(*v1alpha1.NawhasRelease) bool) *v1alpha1.NawhasRelease {
	w.t.Helper()
	for range passes {
		if _, err := w.pass(); err != nil && !apierrors.IsConflict(err) {
			w.t.Logf("pass: %v", err)
		}
		w.kubelet.work()
		if release := w.get(); done(release) {
			return release
		}
	}
	w.t.Fatalf("not %s after %d passes:\n%s", what, passes, w.told())
	return nil
}

// told is everything that the release says of itself.
func (w *world) told() string {
	release := w.get()
	text := fmt.Sprintf("live %q\n", release.Status.Live)
	for _, c := range release.Status.Conditions {
		text += fmt.Sprintf("  %-15s %-8s %-20s %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, v := range release.Status.Versions {
		text += fmt.Sprintf("  %s %s %s\n", v.Version, v.Role, v.Database)
	}
	return text
}

func (w *world) must(err error) {
	w.t.Helper()
	if errors.Is(err, context.Canceled) && w.t.Context().Err() != nil {
		goruntime.Goexit() // the test is over, and what worked beside it goes with it
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func isTrue(release *v1alpha1.NawhasRelease, condition string) bool {
	return conditionOf(release, condition).Status == metav1.ConditionTrue
}

func conditionOf(release *v1alpha1.NawhasRelease, condition string) metav1.Condition {
	for _, c := range release.Status.Conditions {
		if c.Type == condition {
			return c
		}
	}
	return metav1.Condition{}
}

// isHeldAt says that spec.version was sent back, and which version is live and
// alone in its stead.
func isHeldAt(version string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == version && isTrue(r, v1alpha1.ConditionFenced) && conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonRolledBack
	}
}

func isLive(version string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == version && isTrue(r, v1alpha1.ConditionReady) && isTrue(r, v1alpha1.ConditionFenced)
	}
}
