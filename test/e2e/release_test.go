//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

func unchanged(*v1alpha1.NawhasRelease) {}

func TestTheSampleGoesLiveAndIsRight(t *testing.T) {
	t.Parallel()
	const events = 20_000
	w := newWorld(t, events)
	w.create(unchanged)
	release := w.untilLive()
	if release.Status.Live != "3.1.2" {
		t.Errorf("live is %q", release.Status.Live)
	}
	for _, condition := range append(v1alpha1.Stages(), v1alpha1.ConditionAvailable) {
		if !meta.IsStatusConditionTrue(release.Status.Conditions, condition) {
			t.Errorf("%s is not True", condition)
		}
	}
	w.audit(w.Prefix+"3_1_2", events)
	reciter, err := shared.ReadReciter(t.Context(), w.Namespace, "nawhas-api")
	if err != nil {
		t.Fatal(err)
	}
	if reciter.Name == "" || (shared.Local() && reciter.Version != "3.1.2") {
		t.Errorf("read %+v", reciter)
	}

	if err := w.Log.Append(t.Context(), 500, 8); err != nil {
		t.Fatal(err)
	}
	w.until("caught up with what came later", func(*v1alpha1.NawhasRelease) bool {
		return w.count(w.at(w.Prefix+"3_1_2"), "SELECT position FROM checkpoint") == w.count(w.sourceURL(), "SELECT max(position) FROM events")
	})
	w.audit(w.Prefix+"3_1_2", events+500)
	w.readsWell()
}

// readsWell looks at what people see.
func (w *world) readsWell() {
	w.t.Helper()
	table, err := shared.Kubectl(w.t.Context(), "-n", w.Namespace, "get", "nr")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, word := range []string{"VERSION", "LIVE", "STAGE", "LAG", "AVAILABLE", "READY", "3.1.2", "True"} {
		if !strings.Contains(table, word) {
			w.t.Errorf("kubectl get nr does not show %s:\n%s", word, table)
		}
	}
	description, err := shared.Kubectl(w.t.Context(), "-n", w.Namespace, "describe", "nr", "nawhas")
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(description, "postgres://") {
		w.t.Error("kubectl describe shows a connection string")
	}
}

func TestAnImageThatCannotBePulledIsNamedAndMayBeCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	w.create(func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "no-such-tag" })
	condition := w.untilReason(v1alpha1.ConditionMigrated, v1alpha1.ReasonImageUnavailable)
	if !strings.Contains(condition.Message, "no-such-tag") {
		t.Errorf("the message does not name the image: %s", condition.Message)
	}
	w.Change(w.t, func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "" })
	w.untilLive()
	w.audit(w.Prefix+"3_1_2", 2_000)
}

func TestAJobThatFailsTellsWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	w.create(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Replay.Command = []string{"nawhas", "replay", "--no-such-flag"}
		r.Spec.Replay.BackoffLimit = ptr.To(int32(0))
	})
	condition := w.untilReason(v1alpha1.ConditionReplayed, v1alpha1.ReasonJobFailed)
	if !strings.Contains(condition.Message, "no-such-flag") {
		t.Errorf("the message does not hold the program's reason: %s", condition.Message)
	}
}

func TestAJobThatNeverEndsTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 200)
	w.create(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Verify.Command = []string{"nawhas", "serve"}
		r.Spec.Verify.Timeout = &metav1.Duration{Duration: 5 * time.Second}
		r.Spec.Verify.BackoffLimit = ptr.To(int32(0))
	})
	w.untilReason(v1alpha1.ConditionVerified, v1alpha1.ReasonTimedOut)
}

func TestAnUnknownEventStopsTheReplayByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2_000)
	w.exec(w.sourceURL(), `INSERT INTO events (id, name, payload) VALUES ('00000000-0000-0000-0000-00000000dead', 'ReciterKnighted', '{"id": "x"}')`)
	w.create(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.BackoffLimit = ptr.To(int32(0)) })
	condition := w.untilReason(v1alpha1.ConditionReplayed, v1alpha1.ReasonPoison)
	for _, word := range []string{"ReciterKnighted", "00000000-0000-0000-0000-00000000dead"} {
		if !strings.Contains(condition.Message, word) {
			t.Errorf("the message does not name %s: %s", word, condition.Message)
		}
	}
}

func TestDeletionCleansUp(t *testing.T) {
	t.Parallel()
	for policy, kept := range map[v1alpha1.DeletionPolicy]int64{v1alpha1.DeletionDelete: 0, v1alpha1.DeletionRetain: 1} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 500)
			w.create(func(r *v1alpha1.NawhasRelease) { r.Spec.DeletionPolicy = policy })
			w.untilLive()
			w.delete()
			if n := w.count(shared.AuditURL, fmt.Sprintf("SELECT count(*) FROM pg_database WHERE starts_with(datname, '%s')", w.Prefix)); n != kept {
				t.Errorf("%d databases are left", n)
			}
			writers := fmt.Sprintf(`SELECT count(*) FROM pg_roles WHERE starts_with(rolname, '%s') AND has_any_column_privilege(rolname, 'events', 'INSERT')`, w.Prefix)
			if n := w.count(w.source(), writers); n != 0 {
				t.Errorf("%d roles can still write to the log", n)
			}
			if n := w.count(w.sourceURL(), "SELECT count(*) FROM events"); n != 500 {
				t.Errorf("the log has %d events", n)
			}
			w.untilNothingIsLeft()
			w.exec(shared.AuditURL, fmt.Sprintf("DROP DATABASE IF EXISTS %s3_1_2 WITH (FORCE)", w.Prefix))
		})
	}
}

// untilNothingIsLeft waits for the cluster's garbage collector.
func (w *world) untilNothingIsLeft() {
	w.t.Helper()
	ctx, cancel := w.cleaning()
	defer cancel()
	err := cluster.Until(ctx, look, func() (bool, error) {
		for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.PodList{}} {
			if err := shared.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
				return false, err
			}
			if meta.LenList(list) > 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		w.t.Errorf("objects are left in %s: %v", w.Namespace, err)
	}
}
