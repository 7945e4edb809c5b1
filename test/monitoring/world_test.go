//go:build monitoring

package monitoring

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/node"
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

// world is a room with a release, and the Prometheus that watches it.
type world struct {
	*prometheus
	*node.Room
}

// newWorld has no release yet.
func newWorld(t *testing.T, p *prometheus) *world {
	t.Helper()
	w := &world{prometheus: p, Room: node.NewRoom(t, shared, "mon", events)}
	kubectl(t, "-n", w.Namespace, "apply", "-f", "config/samples/uploads.yaml")
	node.Cleanup(t, w.DropRelease)
	return w
}

// create applies the sample. Its versions are not watched after a switch: here
// pods fail for other reasons.
func (w *world) create(t *testing.T) {
	t.Helper()
	release, err := shared.Sample(w.Namespace, w.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	release.Spec.Cutover.Observe = &metav1.Duration{Duration: time.Second}
	if err := shared.Create(t.Context(), release); err != nil {
		t.Fatal(err)
	}
}

// want asks for a version.
func (w *world) want(t *testing.T, version string) {
	t.Helper()
	w.Change(t, func(r *v1alpha1.NawhasRelease) { r.Spec.Version = version })
}

// goesBack releases the next version with a check that it cannot pass.
func (w *world) goesBack(t *testing.T) {
	w.Change(t, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version = next
		r.Spec.Cutover.Observe = &metav1.Duration{Duration: time.Minute}
		r.Spec.Cutover.Checks = []v1alpha1.MetricCheck{{
			Name: "nowhere", Max: "0", FailAfter: &metav1.Duration{Duration: 3 * time.Second},
			Prometheus: v1alpha1.PrometheusQuery{Address: "http://" + w.address,
				Query: `max(nawhas_release_live_info{namespace="$namespace",release="$release",version="$version"})`},
		}}
	})
	node.Until(t, "live", func(context.Context) bool { return w.Release(t).Status.Live == next })
	node.Until(t, "sent back", func(context.Context) bool {
		r := w.Release(t)
		ready := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady)
		return r.Status.Live == first && ready.Reason == v1alpha1.ReasonRolledBack
	})
	ready := meta.FindStatusCondition(w.Release(t).Status.Conditions, v1alpha1.ConditionReady)
	if !strings.Contains(ready.Message, "check nowhere: the value is 1 and was above 0 for 3s") {
		t.Errorf("it says %s", ready.Message)
	}
}

// settled waits until a version is live and the one before it is fenced.
func (w *world) settled(t *testing.T, version string) {
	t.Helper()
	node.Until(t, "settled on "+version, func(context.Context) bool {
		r := w.Release(t)
		return r.Status.Live == version && r.Status.ObservedGeneration == r.Generation &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionFalse(r.Status.Conditions, v1alpha1.ConditionReconciling) &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced)
	})
}

// database is the connection string of a version's database, or of the log's
// when the version is empty, for an account that may do everything.
func (w *world) database(t *testing.T, version string) string {
	t.Helper()
	u, err := url.Parse(shared.AuditURL)
	if err != nil {
		t.Fatal("the audit's connection string is not a URL")
	}
	log, err := url.Parse(w.Log.URL)
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
	for _, v := range w.Release(t).Status.Versions {
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
	node.Cleanup(t, conn.Close)
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	return conn
}
