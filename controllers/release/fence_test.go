package release

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestWhoeverElseCanAppendIsNamed(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	foreign := "billing_" + w.source
	w.super("CREATE ROLE %s LOGIN", foreign)
	postgres.Exec(t, w.sourceDatabase, "GRANT INSERT ON events TO "+foreign)

	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionFenced).Reason == v1alpha1.ReasonOthersCanAppend
	})

	message := conditionOf(release, v1alpha1.ConditionFenced).Message
	if !strings.Contains(message, foreign+" (granted by "+w.source+")") {
		t.Errorf("it says %s", message)
	}
	if !isTrue(release, v1alpha1.ConditionReady) || !isTrue(release, v1alpha1.ConditionStalled) {
		t.Errorf("the summary is wrong:\n%s", w.told())
	}
	postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON events FROM "+foreign)
	release = w.until("fenced", isLive("3.1.2"))
	if message := conditionOf(release, v1alpha1.ConditionFenced).Message; !strings.Contains(message, "its owner ("+w.source+")") || !strings.Contains(message, "postgres") {
		t.Errorf("it does not name those whom no REVOKE stops: %s", message)
	}
}

func TestAReleaseBesideAnotherOnOneLogIsNoStranger(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	second := another(t)
	second.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase))
	second.newRelease()
	second.until("live", isLive("3.1.2"))
	w.until("still content", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 1))
	w.must(second.kubelet.append("3.1.2", 1))
}

func TestAStragglerIsToldAndEnded(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Cutover.DrainTimeout = &metav1.Duration{Duration: 2 * time.Second}
	})
	w.until("live", isLive("3.1.2"))
	conn := w.kubelet.dial(w.workload("3.1.2").Spec.Template, "NAWHAS_SOURCE_URL")
	var pid int
	w.must(conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	w.release("3.2.0")
	w.until("at the switch", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	tx, err := conn.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), appendOne)
	w.must(err)

	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.HasPrefix(conditionOf(r, v1alpha1.ConditionFenced).Message, "session ")
	})
	if message := conditionOf(release, v1alpha1.ConditionFenced).Message; !strings.Contains(message, fmt.Sprintf("session %d of version 3.1.2 has appended to the log and not finished for", pid)) {
		t.Errorf("it says %s", message)
	}
	time.Sleep(2 * time.Second) // the server's clock counts
	w.until("fenced", isLive("3.2.0"))
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("the straggler's transaction was kept")
	}
	if !w.recorded("StragglersEnded") {
		t.Error("no Event tells of it")
	}
}

// What a live version has not fenced off yet is fenced off while the next one is on its
// way, however long that waits: who was there before there was a release, and
// transactions of the version before it.
func TestTheFenceGoesOnAlthoughTheNextVersionIsOnItsWay(t *testing.T) {
	w := newWorld(t)
	former := "former_" + w.source
	w.super("CREATE ROLE %s LOGIN PASSWORD 'secret'", former)
	w.super("GRANT CONNECT ON DATABASE %s TO "+former, w.sourceDatabase)
	postgres.Exec(t, w.sourceDatabase, "GRANT SELECT, INSERT ON events TO "+former)
	w.kubelet.unwired = true
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Source.FormerRoles = []string{former}
		r.Spec.Cutover.DrainTimeout = &metav1.Duration{Duration: time.Hour}
	})
	w.until("at the switch", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.1.2" })
	before := w.connect(former, "secret", w.sourceDatabase)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.settle()
	_, err := before.Exec(t.Context(), appendOne)
	w.must(err) // nobody is cut off before the nodes lead to the version
	w.kubelet.unwired = false
	awaits := func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonAwaitingApproval
	}
	w.until("waiting", awaits)
	w.settle()
	if _, err := before.Exec(t.Context(), appendOne); err == nil {
		t.Error("what was there before goes on appending")
	}

	straggler := w.kubelet.dial(w.workload("3.1.2").Spec.Template, "NAWHAS_SOURCE_URL")
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.until("at the switch", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	tx, err := straggler.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), appendOne)
	w.must(err)
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.HasPrefix(conditionOf(r, v1alpha1.ConditionFenced).Message, "session ")
	})
	w.release("3.3.0")
	w.until("waiting", awaits)
	if w.settle(); w.rests() {
		t.Error("nobody looks after the transaction of the version before")
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.DrainTimeout = &metav1.Duration{Duration: time.Second} })
	if w.settle(); !w.recorded("StragglersEnded") {
		t.Error("a transaction of the version before goes on")
	}
	if w.settle(); !w.rests() {
		t.Errorf("the release does not rest:\n%s", w.told())
	}
}

func TestAPreparedTransactionIsTold(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	conn := w.kubelet.dial(w.workload("3.1.2").Spec.Template, "NAWHAS_SOURCE_URL")
	name := "'prepared_" + w.source + "'"
	w.release("3.2.0")
	w.until("live", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	for _, statement := range []string{"BEGIN", appendOne, "PREPARE TRANSACTION " + name} {
		_, err := conn.Exec(t.Context(), statement)
		w.must(err)
	}
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionFenced).Reason == v1alpha1.ReasonLogWriterStalled
	})
	if message := conditionOf(release, v1alpha1.ConditionFenced).Message; !strings.Contains(message, "ROLLBACK PREPARED") {
		t.Errorf("it says %s", message)
	}
	_, err := conn.Exec(context.Background(), "ROLLBACK PREPARED "+name)
	w.must(err)
	w.until("fenced", isLive("3.2.0"))
}

// The Service's selector is a wish: what the nodes have is what counts.
func TestASwitchIsDoneWhenTheEndpointsAreThere(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.kubelet.unwired = true
	release := w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == "3.1.2" && conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonSwitching
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; !strings.Contains(message, "no ready pod yet") || isTrue(release, v1alpha1.ConditionReady) {
		t.Errorf("it says %s:\n%s", message, w.told())
	}
	w.kubelet.unwired = false
	w.until("live", isLive("3.1.2"))

	w.kubelet.unwired = true
	w.release("3.2.0")
	release = w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return r.Status.Live == "3.2.0" && conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonSwitching
	})
	if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; !strings.Contains(message, "still list pods of another version") {
		t.Errorf("it says %s", message)
	}
	w.must(w.kubelet.append("3.1.2", 1)) // nobody is cut off meanwhile
	w.kubelet.unwired = false
	w.until("live", isLive("3.2.0"))
}

// TestAnOperatorThatStartsAnewGivesNoRightBack has every pass make sure of every
// role anew, also the one that takes a right: world.pass holds it to the fence.
func TestAnOperatorThatStartsAnewGivesNoRightBack(t *testing.T) {
	for _, mode := range []v1alpha1.CutoverMode{v1alpha1.CutoverFlipThenFence, v1alpha1.CutoverStrict} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.Cutover.Mode = mode })
			w.until("live", isLive("3.1.2"))
			w.release("3.2.0")
			w.until("live and fenced", func(r *v1alpha1.NawhasRelease) bool {
				w.restart(cluster)
				return isLive("3.2.0")(r) && isTrue(r, v1alpha1.ConditionFenced)
			})
		})
	}
}
