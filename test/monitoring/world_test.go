//go:build monitoring

package monitoring

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// Versions whose images the cluster has. The last one forgets deletions, and its
// verification fails.
const (
	first     = "3.1.2"
	next      = "3.2.0"
	forgetful = "3.3.0"
)

// events are enough for a replay to be seen at work.
const events = 80_000

// world is a namespace with a release, and the Prometheus that watches it.
type world struct {
	*prometheus
	namespace, prefix string
	log               *cluster.Log
}

// newWorld has a log and the Secrets, and no release yet.
func newWorld(t *testing.T, p *prometheus) *world {
	t.Helper()
	id := rand.String(5)
	w := &world{prometheus: p, namespace: "monitored-" + id, prefix: "mon_" + id + "_v"}
	t.Logf("namespace %s", w.namespace)
	log, err := shared.MakeLog(t.Context(), "mon_"+id+"_source")
	if err != nil {
		t.Fatal(err)
	}
	w.log = log
	w.cleanup(t, log.Drop)
	if err := log.Append(t.Context(), events, 7); err != nil {
		t.Fatal(err)
	}
	if err := shared.Prepare(t.Context(), w.namespace, log.URL); err != nil {
		t.Fatal(err)
	}
	w.cleanup(t, func(ctx context.Context) error {
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "nawhas-uploads-" + w.namespace}}
		if err := client.IgnoreNotFound(shared.Delete(ctx, volume)); err != nil {
			return err
		}
		return shared.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})
	})
	kubectl(t, "-n", w.namespace, "apply", "-f", "config/samples/uploads.yaml")
	w.cleanup(t, w.delete)
	return w
}

// create applies the sample. Its versions are not watched after a switch: here
// pods fail for other reasons.
func (w *world) create(t *testing.T) {
	t.Helper()
	release, err := shared.Sample(w.namespace, w.prefix)
	if err != nil {
		t.Fatal(err)
	}
	release.Spec.Cutover.Observe = &metav1.Duration{Duration: time.Second}
	if err := shared.Create(t.Context(), release); err != nil {
		t.Fatal(err)
	}
}

func (w *world) delete(ctx context.Context) error {
	release := &v1alpha1.NawhasRelease{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "nawhas"}}
	if err := client.IgnoreNotFound(shared.Delete(ctx, release)); err != nil {
		return err
	}
	return cluster.Until(ctx, look, func() (bool, error) {
		return apierrors.IsNotFound(shared.Get(ctx, client.ObjectKeyFromObject(release), release)), nil
	})
}

// release asks for a version.
func (w *world) release(t *testing.T, version string) {
	t.Helper()
	release := w.get(t)
	patch := client.MergeFrom(release.DeepCopy())
	release.Spec.Version = version
	if err := shared.Patch(t.Context(), release, patch); err != nil {
		t.Fatal(err)
	}
}

// goesBack releases the next version with a check that it cannot pass.
func (w *world) goesBack(t *testing.T) {
	release := w.get(t)
	patch := client.MergeFrom(release.DeepCopy())
	release.Spec.Version = next
	release.Spec.Cutover.Observe = &metav1.Duration{Duration: time.Minute}
	release.Spec.Cutover.Checks = []v1alpha1.MetricCheck{{
		Name: "nowhere", Max: "0", FailAfter: &metav1.Duration{Duration: 3 * time.Second},
		Prometheus: v1alpha1.PrometheusQuery{Address: "http://" + w.address,
			Query: `max(nawhas_release_live_info{namespace="$namespace",release="$release",version="$version"})`},
	}}
	if err := shared.Patch(t.Context(), release, patch); err != nil {
		t.Fatal(err)
	}
	w.until(t, "live", func(context.Context) bool { return w.get(t).Status.Live == next })
	w.until(t, "sent back", func(context.Context) bool {
		r := w.get(t)
		ready := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady)
		return r.Status.Live == first && ready.Reason == v1alpha1.ReasonRolledBack
	})
	ready := meta.FindStatusCondition(w.get(t).Status.Conditions, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, "check nowhere: the value is 1 and was above 0 for 3s") {
		t.Errorf("it says %s", ready.Message)
	}
}

// settled waits until a version is live and the one before it is fenced.
func (w *world) settled(t *testing.T, version string) {
	t.Helper()
	w.until(t, "settled on "+version, func(context.Context) bool {
		r := w.get(t)
		return r.Status.Live == version && r.Status.ObservedGeneration == r.Generation &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionFalse(r.Status.Conditions, v1alpha1.ConditionReconciling) &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced)
	})
}

func (w *world) get(t *testing.T) *v1alpha1.NawhasRelease {
	t.Helper()
	var release v1alpha1.NawhasRelease
	if err := shared.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, &release); err != nil {
		t.Fatal(err)
	}
	return &release
}

// database is the connection string of a version's database, or of the log's
// when the version is empty, for an account that may do everything.
func (w *world) database(t *testing.T, version string) string {
	t.Helper()
	u, err := url.Parse(shared.AuditURL)
	if err != nil {
		t.Fatal("the audit's connection string is not a URL")
	}
	log, err := url.Parse(w.log.URL)
	if err != nil {
		t.Fatal("the log's connection string is not a URL")
	}
	u.Path = log.Path
	if version != "" {
		u.Path = "/" + w.databaseOf(t, version)
	}
	return u.String()
}

func (w *world) databaseOf(t *testing.T, version string) string {
	t.Helper()
	for _, v := range w.get(t).Status.Versions {
		if v.Version == version {
			return v.Database
		}
	}
	t.Fatalf("version %s has no database", version)
	return ""
}

// exec runs statements, and keeps the last transaction open when they begin one.
func (w *world) exec(t *testing.T, version string, statements ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.database(t, version))
	if err != nil {
		t.Fatal(err)
	}
	w.cleanup(t, conn.Close)
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	return conn
}

// cleanup has something done when the test is over.
func (w *world) cleanup(t *testing.T, do func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	})
}
