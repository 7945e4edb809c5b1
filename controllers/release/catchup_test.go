package release

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// undecodable is what a follower reports that stands before an event which it
// cannot apply.
func undecodable(position int64) *ledger.Problem {
	return &ledger.Problem{Position: position, Name: "ReciterCreated", Version: 1, Projector: "reciters", Message: "no name"}
}

func caughtUpSays(reason, message string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		caughtUp := conditionOf(r, v1alpha1.ConditionCaughtUp)
		return caughtUp.Reason == reason && strings.Contains(caughtUp.Message, message)
	}
}

// awaitingApproval has 3.1.2 live, and 3.2.0 ready and not approved.
func awaitingApproval(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 5))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", switchedSays(v1alpha1.ReasonAwaitingApproval, "ready"))
	return w
}

// stays lets everything come to its end, and checks what is live.
func (w *world) stays(live string) {
	w.t.Helper()
	w.settle()
	if release := w.get(); release.Status.Live != live {
		w.t.Errorf("live is %q:\n%s", release.Status.Live, w.told())
	}
}

// Nobody is asked to approve, and nobody's approval leads to, a version whose
// database has come to an event that it cannot apply.
func TestACandidateThatCanNoLongerFollowDoesNotGoLive(t *testing.T) {
	w := awaitingApproval(t)
	w.kubelet.stuck = map[string]*ledger.Problem{"3.2.0": undecodable(6)}
	w.must(w.kubelet.append("3.1.2", 1))
	w.until("told", caughtUpSays(v1alpha1.ReasonPoison, "at position 6 cannot be applied"))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.stays("3.1.2")
	w.until("still told", caughtUpSays(v1alpha1.ReasonPoison, "at position 6 cannot be applied"))
	w.kubelet.stuck = nil
	w.until("live", isLive("3.2.0"))
}

// followerRuns sets how many pods of a version's follower are ready.
func (k *kubelet) followerRuns(version string, ready int32) {
	k.t.Helper()
	d := &appsv1.Deployment{}
	k.must(cluster.Get(k.t.Context(), client.ObjectKey{Namespace: k.namespace, Name: objectName("nawhas", followerName, version)}, d))
	d.Status.ReadyReplicas, d.Status.AvailableReplicas = ready, ready
	k.must(cluster.Status().Update(k.t.Context(), d))
}

// The database of a follower that has ended is current until the next event.
func TestACandidateWhoseFollowerDoesNotRunDoesNotGoLive(t *testing.T) {
	w := awaitingApproval(t)
	w.kubelet.followerRuns("3.2.0", 0)
	w.kubelet.rolls = func(d *appsv1.Deployment) bool { return d.Labels[v1alpha1.LabelVersion] != "3.2.0" }
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.until("told", caughtUpSays(v1alpha1.ReasonStartingPods, "follower"))
	w.stays("3.1.2")
	w.kubelet.rolls = nil
	w.kubelet.followerRuns("3.2.0", 1)
	w.until("live", isLive("3.2.0"))
}

// meanwhile does something once, while the operator has a statement sent.
type meanwhile struct {
	statement string
	do        func()
}

func (m *meanwhile) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if m.do != nil && strings.Contains(data.SQL, m.statement) {
		do := m.do
		m.do = nil
		do()
	}
	return ctx
}

func (*meanwhile) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// What a follower comes to while the watermark is drawn is seen before the switch.
func TestAProblemThatComesWithTheWatermarkKeepsTheSwitchBack(t *testing.T) {
	w := awaitingApproval(t)
	w.restart(cluster)
	w.reconciler.Tracer = &meanwhile{statement: "marked_at = clock_timestamp()", do: func() {
		postgres.Exec(t, w.sourceDatabase, `UPDATE nawhas_ledger.checkpoints SET problem = '{"position": 6, "name": "ReciterCreated"}' WHERE role LIKE '%3_2_0%'`)
	}}
	w.kubelet.stuck = map[string]*ledger.Problem{"3.2.0": undecodable(6)}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	_, err := w.pass()
	w.must(err)
	if release := w.get(); release.Status.Live != "3.1.2" || !switchedSays(v1alpha1.ReasonPoison, "at position 6")(release) {
		t.Errorf("live is %q:\n%s", release.Status.Live, w.told())
	}
}
