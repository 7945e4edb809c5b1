package release

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestADryRunSaysWhatAReleaseWouldTakeAndBeginsNothing(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 7))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.DryRun, r.Spec.Replay.MaxEventsPerSecond = "3.2.0", true, 2
	})

	release := w.until("planned", readyFor(v1alpha1.ReasonDryRun))
	w.settle()

	plan := release.Status.Plan
	if plan == nil || plan.Version != "3.2.0" || plan.Events != 7 || plan.Database != w.prefix+"3_2_0" || plan.Image != "ghcr.io/nawhas/api:3.2.0" ||
		ptr.Deref(plan.EventsPerSecond, 0) != 2 || plan.Duration.Duration != 4*time.Second || ptr.Deref(plan.DatabaseBytes, 0) < 1<<20 ||
		plan.LogBytes == 0 || plan.MaxWALBytes < 1<<20 || plan.DatabasesConnections < 1 || plan.SourceConnections < 1 {
		t.Errorf("the plan is %+v", plan)
	}
	if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, "Set spec.dryRun to false to build it") {
		t.Errorf("it does not say how to go on: %s", message)
	}
	if isTrue(release, v1alpha1.ConditionStalled) || isTrue(release, v1alpha1.ConditionReconciling) || release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("it is not told truthfully:\n%s", w.told())
	}
	if w.databaseExists(w.prefix+"3_2_0") || len(release.Status.Versions) != 1 {
		t.Error("something was begun")
	}
	counting := &countingClient{Client: cluster}
	w.reconciler.Client = counting
	w.must(w.kubelet.append("3.1.2", 1))
	w.kubelet.work()
	w.settle()
	for _, write := range counting.writes {
		if !strings.Contains(write, "Status") && !strings.Contains(write, "status") {
			t.Errorf("it wrote %v", counting.writes)
		}
	}
	w.reconciler.Client = cluster

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.DryRun = false })
	if release = w.until("live", isLive("3.2.0")); release.Status.Plan != nil {
		t.Errorf("the plan of what is done stays: %+v", release.Status.Plan)
	}
}

func TestExpectedRate(t *testing.T) {
	replayed := func(position int64, took time.Duration) *ledger.Version {
		v := aVersion("1.0.0", ledger.Warm)
		evidence, _ := json.Marshal(ledger.Summary{Job: "replay", Position: position})
		end := noon.Add(took)
		v.Stages[v1alpha1.ConditionReplayed] = ledger.Stage{StartedAt: noon, FinishedAt: &end, Evidence: evidence}
		return v
	}
	for name, c := range map[string]struct {
		versions []*ledger.Version
		limit    int64
		want     int64
	}{
		"nothing was replayed":          {[]*ledger.Version{aVersion("1.0.0", ledger.Candidate)}, 0, 0},
		"nothing, and a limit":          {nil, 500, 500},
		"the last replay":               {[]*ledger.Version{aVersion("2.0.0", ledger.Candidate), replayed(1000, 10*time.Second), replayed(1000, time.Second)}, 0, 100},
		"the last replay and a limit":   {[]*ledger.Version{replayed(1000, 10*time.Second)}, 50, 50},
		"a limit that is not reached":   {[]*ledger.Version{replayed(1000, 10*time.Second)}, 5000, 100},
		"an empty log tells nothing":    {[]*ledger.Version{replayed(0, 10*time.Second), replayed(1000, time.Second)}, 0, 1000},
		"slower than an event a second": {[]*ledger.Version{replayed(1, 10*time.Second)}, 0, 1},
	} {
		if got := expectedRate(c.versions, c.limit); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 30: "1.0 GiB", 5 << 40: "5.0 TiB"} {
		if got := bytes(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
