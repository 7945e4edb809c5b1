//go:build monitoring

package monitoring

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/test/node"
)

// trouble is what an alert is about: what brings it about, and what the runbook
// says that mends it.
type trouble struct {
	alert string
	// cause returns what mends it.
	cause func(t *testing.T, w *world) (mend func())
}

// suffer has the trouble come and go, and the alert with it.
func (w *world) suffer(t *testing.T, trouble trouble) {
	fires := func(ctx context.Context) bool {
		firing, err := w.firing(ctx, trouble.alert, w.Namespace)
		return err == nil && firing
	}
	quiet := func(ctx context.Context) bool {
		firing, err := w.firing(ctx, trouble.alert, w.Namespace)
		return err == nil && !firing
	}
	// One trouble may raise several alerts, and its own may be the first to go.
	node.Until(t, "quiet before there is a cause", quiet)
	mend := trouble.cause(t, w)
	node.Until(t, "firing", fires)
	w.fired[trouble.alert] = true
	mend()
	node.Until(t, "quiet again", quiet)
}

// troubles are in an order in which each leaves a healthy release to the next.
func troubles() []trouble {
	return []trouble{
		{"NawhasCandidateLate", func(t *testing.T, w *world) func() {
			w.create(t)
			return func() {
				w.settled(t, first)
				w.want(t, next)
				w.settled(t, next)
			}
		}},
		{"NawhasOperatorAbsent", func(t *testing.T, _ *world) func() {
			scale(t, "0")
			return func() { scale(t, "1") }
		}},
		{"NawhasReleaseStalled", func(t *testing.T, w *world) func() {
			kubectl(t, "-n", w.Namespace, "delete", "secret", cluster.SourceSecret)
			return func() {
				w.Prepare(t)
				w.settled(t, next)
			}
		}},
		{"NawhasReleaseUnavailable", func(t *testing.T, w *world) func() {
			for _, node := range nodes(t) {
				kubectl(t, "cordon", node)
				t.Cleanup(func() { _, _ = shared.Kubectl(context.WithoutCancel(t.Context()), "uncordon", node) })
			}
			kubectl(t, "-n", w.Namespace, "delete", "pod", "--wait=false", "-l", v1alpha1.LabelWorkload+"=api,"+v1alpha1.LabelVersion+"="+next)
			return func() {
				for _, node := range nodes(t) {
					kubectl(t, "uncordon", node)
				}
			}
		}},
		{"NawhasLagHigh", func(t *testing.T, w *world) func() { return w.holdUp(t, next, 2_000, 11) }},
		{"NawhasFollowerStopped", func(t *testing.T, w *world) func() { return w.holdUp(t, next, 10, 13) }},
		{"NawhasRollbackNotReady", func(t *testing.T, w *world) func() { return w.holdUp(t, first, 2_000, 12) }},
		{"NawhasNotFenced", func(t *testing.T, w *world) func() {
			role := w.Prefix + "intruder"
			w.exec(t, "", "CREATE ROLE "+role+" LOGIN", "GRANT INSERT ON events TO "+role)
			return func() { w.exec(t, "", "REVOKE INSERT ON events FROM "+role, "DROP ROLE "+role) }
		}},
		{"NawhasVerificationFailed", func(t *testing.T, w *world) func() {
			w.want(t, forgetful)
			return func() {
				w.want(t, next)
				w.settled(t, next)
			}
		}},
		{"NawhasLogWriterStalled", func(t *testing.T, w *world) func() {
			writer := w.exec(t, "", "BEGIN", "INSERT INTO events (id, name, payload) SELECT gen_random_uuid(), name, payload FROM events LIMIT 1")
			w.want(t, first)
			return func() {
				if _, err := writer.Exec(t.Context(), "ROLLBACK"); err != nil {
					t.Fatal(err)
				}
				w.settled(t, first)
			}
		}},
		{"NawhasDiverged", func(t *testing.T, w *world) func() {
			w.exec(t, "", "CREATE TABLE before_restore AS SELECT position, id FROM events ORDER BY position DESC LIMIT 1",
				"UPDATE events SET id = gen_random_uuid() WHERE position = (SELECT position FROM before_restore)")
			w.restartFollower(t, first)
			return func() {
				w.exec(t, "", "UPDATE events SET id = b.id FROM before_restore b WHERE events.position = b.position", "DROP TABLE before_restore")
				w.restartFollower(t, first)
				w.settled(t, first)
			}
		}},
	}
}

// holdUp keeps a version's follower from writing, and has it fall behind by some
// events, which the seed makes.
func (w *world) holdUp(t *testing.T, version string, events, seed int) (letGo func()) {
	t.Helper()
	holder := w.exec(t, version, "BEGIN", "LOCK TABLE checkpoint IN ACCESS EXCLUSIVE MODE")
	if err := w.Log.Append(t.Context(), events, seed); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) restartFollower(t *testing.T, version string) {
	t.Helper()
	pods := &corev1.Pod{}
	err := shared.DeleteAllOf(t.Context(), pods, client.InNamespace(w.Namespace),
		client.MatchingLabels{v1alpha1.LabelVersion: version, v1alpha1.LabelStage: "follower"}, client.GracePeriodSeconds(1))
	if err != nil {
		t.Fatal(err)
	}
}

func scale(t *testing.T, replicas string) {
	t.Helper()
	kubectl(t, "-n", cluster.OperatorNamespace, "scale", "deployment", cluster.Operator, "--replicas", replicas)
	t.Cleanup(func() {
		_, _ = shared.Kubectl(context.WithoutCancel(t.Context()), "-n", cluster.OperatorNamespace, "scale", "deployment", cluster.Operator, "--replicas", "1")
	})
}

func nodes(t *testing.T) []string {
	t.Helper()
	var found corev1.NodeList
	if err := shared.List(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, node := range found.Items {
		names = append(names, node.Name)
	}
	return names
}
