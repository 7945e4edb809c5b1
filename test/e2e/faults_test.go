//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/hack/load"
)

const (
	// outage is how long a server that was killed stays away.
	outage = 2 * time.Second
	// momentPatience is how long a moment may take to come, and momentLook how
	// often it is looked for: a switch takes less than a second.
	momentPatience = 2 * time.Minute
	momentLook     = 2 * time.Millisecond
	// mostTries is how often a fault that came too late for its moment is tried.
	mostTries = 5
)

// fault ends a part of the system without a word at some moment of a switch.
type fault struct {
	name   string
	moment moment
	// strike ends it, and mend starts it again, unless it comes back by itself.
	strike, mend func(*world)
	// refused are the requests that may be told to come again meanwhile.
	refused refusable
}

// refusable is nothing unless it says more.
type refusable string

const (
	// reads that ask for a position which nobody brings about.
	reads      refusable = "reads"
	everything refusable = "everything"
)

// moment is a question to the ledger about the version that is to be live, and
// the stage before whose end it is.
type moment struct {
	name, before, question string
}

var (
	begun = moment{"as the switch begins", v1alpha1.ConditionSwitched, `SELECT EXISTS (SELECT FROM nawhas_ledger.stages WHERE version = $1 AND name = 'Switched' AND finished_at IS NULL)`}
	live  = moment{"as the version is live and the other one not fenced", v1alpha1.ConditionFenced, `SELECT EXISTS (SELECT FROM nawhas_ledger.versions WHERE version = $1 AND role = 'Live')
		AND NOT EXISTS (SELECT FROM nawhas_ledger.stages WHERE version = $1 AND name = 'Fenced' AND finished_at IS NOT NULL)`}
	replaying = moment{"in mid-replay", v1alpha1.ConditionReplayed, `SELECT EXISTS (SELECT FROM nawhas_ledger.checkpoints WHERE version = $1 AND stage = 'replaying' AND position > 0)`}
)

func faults() []fault {
	kill := func(name string) func(*world) { return func(w *world) { w.node("kill", name) } }
	start := func(name string) func(*world) {
		return func(w *world) { time.Sleep(outage); w.node("start", name) }
	}
	killFollowers := func(w *world) { w.killPods(w.Namespace, v1alpha1.LabelStage, "follower") }
	const operator, followers, postgres, apiServer = "the operator", "both followers", "Postgres", "the API server"
	return []fault{
		{name: "the replay", moment: replaying, strike: func(w *world) { w.killPods(w.Namespace, v1alpha1.LabelStage, "replay") }},
		{name: operator, moment: begun, strike: (*world).killOperatorProcess},
		{name: followers, moment: begun, strike: killFollowers, refused: reads},
		{name: postgres, moment: begun, strike: kill("postgres"), mend: start("postgres"), refused: everything},
		{name: apiServer, moment: begun, strike: kill("kube-apiserver"), mend: start("kube-apiserver")},
		{name: operator, moment: live, strike: (*world).killOperatorProcess},
		{name: followers, moment: live, strike: killFollowers, refused: reads},
		{name: postgres, moment: live, strike: kill("postgres"), mend: start("postgres"), refused: everything},
		{name: apiServer, moment: live, strike: kill("kube-apiserver"), mend: start("kube-apiserver")},
	}
}

// struck is what came of one fault, for bin/test/faults.json.
type struck struct {
	Mode   v1alpha1.CutoverMode `json:"mode"`
	Killed string               `json:"killed"`
	Moment string               `json:"moment"`
	// Seconds are from the fault until the version is live and alone.
	Seconds float64 `json:"secondsToConverge"`
	// Requests are attempts; Refused were told to come again, and Failed are all
	// others that came to nothing.
	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	Refused           int64   `json:"refused"`
	Failed            int64   `json:"failed"`
	Stale             int64   `json:"ownWritesNotSeen"`
	// WritePause is the longest time in which nobody's write was acknowledged.
	WritePause int64 `json:"writePauseMillis"`
	audited
}

// TestFaults kills parts of the system in the middle of switches, under load.
// Each time the release gets where it was going without help, and nothing of
// what was acknowledged is lost, doubled or out of order. It is not a part of
// the other tests: `make test-faults` runs it.
func TestFaults(t *testing.T) {
	all := []struck{}
	keep(t, all) // what was there is of another run
	defer func() { tell(all) }()
	for _, mode := range []v1alpha1.CutoverMode{v1alpha1.CutoverFlipThenFence, v1alpha1.CutoverStrict} {
		t.Run(string(mode), func(t *testing.T) {
			w := newReachableWorld(t, 60_000, func(r *v1alpha1.NawhasRelease) {
				r.Spec.Cutover.Mode = mode
				// In chunks, so that there is something to go on from in mid-replay.
				r.Spec.Replay.Command = []string{"nawhas", "replay", "--chunk", "5000"}
			})
			for _, f := range faults() {
				t.Run(f.name+" is killed "+f.moment.name, func(t *testing.T) {
					within := *w
					within.t = t
					all = append(all, within.survivesInTime(f, mode))
					keep(t, all)
				})
				if t.Failed() {
					break // what follows would begin from somewhere else
				}
			}
		})
	}
}

// survivesInTime goes to the version that is not live, again and again until
// the fault came at its moment: some are over in less than it takes to kill.
func (w *world) survivesInTime(f fault, mode v1alpha1.CutoverMode) struck {
	w.t.Helper()
	for try := 1; ; try++ {
		to := next
		if w.Release(w.t).Status.Live == next {
			to = first
		}
		came, inTime := w.survives(f, mode, to)
		switch {
		case inTime || w.t.Failed():
			return came
		case try == mostTries || f.moment == replaying:
			w.t.Errorf("killed %d times, never %s", try, f.moment.name)
			return came
		}
		w.t.Logf("too late, once more")
	}
}

// survives goes to a version, has the fault happen on the way, and judges. It
// reports whether the fault came at its moment.
func (w *world) survives(f fault, mode v1alpha1.CutoverMode, to string) (came struck, inTime bool) {
	w.t.Helper()
	running := w.loadOf(load.Options{Readers: 10, ReadRate: 8, Writers: 16, WriteRate: 5, Patience: time.Minute})
	time.Sleep(time.Second) // lets the load reach the version that is left
	w.release(to)
	w.await(f.moment, to)
	f.strike(w)
	at := time.Now()
	if f.mend != nil {
		f.mend(w)
	}
	w.converges(to)
	converged := time.Now()
	inTime = w.count(w.sourceURL(), fmt.Sprintf("SELECT count(*) FROM nawhas_ledger.stages WHERE version = '%s' AND name = '%s' AND finished_at > '%s'",
		to, f.moment.before, at.Format(time.RFC3339Nano))) == 1
	time.Sleep(time.Second) // and the version that was reached

	noticed := running.Stop()
	came = struck{Mode: mode, Killed: f.name, Moment: f.moment.name, Seconds: converged.Sub(at).Seconds(), Requests: noticed.Requests,
		RequestsPerSecond: noticed.Rate(noticed.Whole()), Stale: noticed.Stale}
	for _, failure := range noticed.Failures {
		if failure.Refused {
			came.Refused++
		} else {
			came.Failed++
		}
	}
	silence, _ := noticed.WritePause(load.Span{From: at, To: converged})
	came.WritePause = silence.Milliseconds()
	came.audited = w.auditAll(running)
	w.judge(&came, f, noticed.Failures)
	if !slices.ContainsFunc(noticed.Writes, func(e load.Exchange) bool { return e.Version == to && e.Ended.After(converged) }) {
		w.t.Errorf("version %s is live and alone, and nobody's write was acknowledged by it", to)
	}
	w.t.Logf("%+v", came)
	return came, inTime
}

// judge is strict where nothing that clients need was away. In mode Strict a
// version that lost its place asks writers to come again. Nobody comes in vain
// for as long as clients have patience.
func (w *world) judge(came *struck, f fault, failures []load.Failure) {
	w.t.Helper()
	if came.Stale > 0 {
		w.t.Errorf("%d own writes were not seen", came.Stale)
	}
	unexpected := slices.DeleteFunc(slices.Clone(failures), func(failure load.Failure) bool {
		isRead := strings.HasPrefix(failure.What, "GET ")
		return failure.Refused && !failure.GivenUp && (f.refused == everything || f.refused == reads && isRead || came.Mode == v1alpha1.CutoverStrict && !isRead)
	})
	if len(unexpected) > 0 {
		w.t.Errorf("%d requests failed:\n%s", len(unexpected), told(unexpected))
	}
}

// await returns at the moment.
func (w *world) await(m moment, version string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), momentPatience)
	defer cancel()
	w.with(w.source(), func(_ context.Context, conn *pgx.Conn) error {
		return cluster.Until(ctx, momentLook, func() (bool, error) {
			var come bool
			err := conn.QueryRow(ctx, m.question, version).Scan(&come)
			return come, err
		})
	})
}

// converges waits until a version is live and alone, whatever is away meanwhile.
func (w *world) converges(version string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var last error
	err := cluster.Until(ctx, look, func() (bool, error) {
		var r v1alpha1.NawhasRelease
		last = shared.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: "nawhas"}, &r)
		return last == nil && r.Status.Live == version && r.Status.ObservedGeneration == r.Generation &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionFenced), nil
	})
	if err != nil {
		w.explain()
		w.t.Fatalf("version %s is not live and alone after %s: %v", version, patience, last)
	}
}

// killOperatorProcess ends the process, not the pod: the next one has the same
// place and waits for the lease of the dead one.
func (w *world) killOperatorProcess() {
	w.killPods(cluster.OperatorNamespace, "app.kubernetes.io/name", cluster.Operator)
}

// killPods ends the processes of all running pods with a label.
func (w *world) killPods(namespace, label, value string) {
	w.t.Helper()
	var pods corev1.PodList
	if err := shared.List(w.t.Context(), &pods, client.InNamespace(namespace), client.MatchingLabels{label: value}); err != nil {
		w.t.Fatal(err)
	}
	var running []string
	for i := range pods.Items {
		for _, status := range pods.Items[i].Status.ContainerStatuses {
			if status.State.Running != nil {
				running = append(running, status.ContainerID)
			}
		}
	}
	if len(running) == 0 {
		w.t.Fatalf("no pod with %s=%s runs", label, value)
	}
	w.node("kill", running...)
}

// node has the local node do something to its programs and containers.
func (w *world) node(verb string, names ...string) {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), filepath.Join(shared.Root, "bin", "local-node"), append([]string{verb}, names...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", verb, strings.Join(names, " "), err, out)
	}
}

// keep writes what came of the faults where programs find it.
func keep(t *testing.T, all []struck) {
	t.Helper()
	folder := filepath.Join(shared.Root, "bin", "test")
	content, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.MkdirAll(folder, 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "faults.json"), append(content, '\n'), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// tell says for people what came of the faults.
func tell(all []struck) {
	for _, s := range all {
		fmt.Printf("%-13s %-14s %-52s converged after %5.1f s; %5d requests, %4d told to come again, %d failed; no write for %5d ms; %d acknowledged, lost %d, duplicated %d, reordered %d, not seen %d\n",
			s.Mode, s.Killed, s.Moment, s.Seconds, s.Requests, s.Refused, s.Failed, s.WritePause, s.Acknowledged, s.Lost, s.Duplicated, s.Reordered, s.Stale)
	}
}
