package release

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestAReleaseInRounds(t *testing.T) {
	w := withRounds(t, 40)
	w.newRelease(inRounds)
	release := w.until("live", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
	if v := release.Status.Versions[0]; v.Lag != nil || v.Checkpoint != nil {
		t.Errorf("a version that projects its own events is told to lag: %+v", v)
	}
	for range 3 {
		w.must(w.write("3.1.2"))
	}

	w.release("3.2.0")
	release = w.until("live", isLive("3.2.0"))

	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
	w.must(w.write("3.2.0"))
	if err := w.write("3.1.2"); err == nil {
		t.Error("a version that made way appends")
	}
	w.rounded("3.1.2")
	w.holdsTheLog("3.1.2")
	if !isTrue(w.get(), v1alpha1.ConditionRollbackReady) {
		t.Errorf("there is no way back:\n%s", w.told())
	}
	if names := followersOf(w); len(names) != 0 {
		t.Errorf("there are followers: %v", names)
	}
	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	w.holdsTheLog("3.1.2")
	w.must(w.write("3.1.2"))
	w.rounded("3.2.0")
	w.holdsTheLog("3.2.0")
	w.holdsTheLog("3.1.2")
	_ = release
}

// The replay is shown windows; the log itself it may not even read.
func TestARoundsRoleReadsNoLog(t *testing.T) {
	w := withRounds(t, 10)
	refusals := make(chan error, 10)
	w.newRelease(inRounds)
	w.replaying(func(r *aRound) {
		config := r.log.Config().Copy()
		if !strings.HasPrefix(config.Database, "nawhas_window_") {
			t.Errorf("the log of a round is in %s", config.Database)
		}
		_, err := r.log.Exec(context.Background(), "INSERT INTO stored_events (event_class, event_properties, meta_data, created_at) VALUES ('x', '{}', '[]', now())")
		refusals <- err
		config.Database = w.sourceDatabase
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			refusals <- err
			return
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), "SELECT * FROM stored_events")
		refusals <- err
	})
	w.until("live", isLive("3.1.2"))
	for range 2 {
		if err := <-refusals; err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("a round is told %v", err)
		}
	}
}

func TestWhoCannotBeReleasedInRoundsIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		cause, cure func(*world)
		reason      string
		says        string
	}{
		"a shared login": {
			func(w *world) {
				w.super("CREATE ROLE %s LOGIN", "shared_"+w.source)
				postgres.Exec(w.t, w.sourceDatabase, "GRANT INSERT ON stored_events TO shared_"+w.source)
			},
			func(w *world) {
				postgres.Exec(w.t, w.sourceDatabase, "REVOKE INSERT ON stored_events FROM shared_"+w.source)
			},
			v1alpha1.ReasonOthersCanAppend, "shared_",
		},
		"a second owner": {
			func(w *world) { w.super("CREATE ROLE %s LOGIN IN ROLE "+w.source, "second_"+w.source) },
			func(w *world) { w.super("DROP ROLE %s", "second_"+w.source) },
			v1alpha1.ReasonOthersCanAppend, "(owns the log)",
		},
		"a DATABASE_URL": {
			func(w *world) {
				w.update(func(r *v1alpha1.NawhasRelease) {
					r.Spec.Env = []corev1.EnvVar{{Name: "DATABASE_URL", Value: "postgres://elsewhere/x"}}
				})
			},
			func(w *world) {
				w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Env = []corev1.EnvVar{{Name: "DATABASE_URL"}} })
			},
			v1alpha1.ReasonUnsuitable, "spec.env set DATABASE_URL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 3)
			w.newRelease(inRounds)
			c.cause(w)
			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				return conditionOf(r, v1alpha1.ConditionStalled).Reason == c.reason
			})
			if message := conditionOf(release, v1alpha1.ConditionReady).Message; !strings.Contains(message, c.says) {
				t.Errorf("it says %s", message)
			}
			c.cure(w)
			w.until("live", isLive("3.1.2"))
		})
	}
}

// Who waits to go live, or was live before, may have been joined by somebody meanwhile
// whose events it would never project.
func TestWhoeverMayAppendMeanwhileKeepsItFromGoingLive(t *testing.T) {
	w := withRounds(t, 3)
	w.newRelease(inRounds, func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Mode = v1alpha1.PromotionManual })
	w.until("ready", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonAwaitingApproval
	})
	shared := "shared_" + w.source
	w.super("CREATE ROLE %s LOGIN", shared)
	joins := func() { postgres.Exec(t, w.sourceDatabase, "GRANT INSERT ON stored_events TO "+shared) }
	leaves := func() { postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON stored_events FROM "+shared) }
	refused := func(live string) {
		t.Helper()
		release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
			return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonOthersCanAppend
		})
		w.settle()
		if message := conditionOf(release, v1alpha1.ConditionSwitched).Message; w.get().Status.Live != live || !strings.Contains(message, shared) {
			t.Errorf("live is %q, it says %s", w.get().Status.Live, message)
		}
	}
	joins()
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
	refused("")
	leaves()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Version, r.Spec.Promotion.Approved = "3.2.0", "3.2.0" })
	w.until("live", isLive("3.2.0"))
	w.settle()
	joins()
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Version, r.Spec.Promotion.Approved = "3.1.2", "3.1.2" })
	refused("3.2.0")

	// One that fails does not stay for that.
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Version = "3.2.0" })
	w.settle()
	w.kubelet.wait(5 * time.Second)
	w.fails("3.2.0")
	w.until("sent back", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.1.2" })
}

// ofRounds are side effects that no other releases have: on the windows, on the
// Jobs of rounds, and on what the ledger says of both.
var ofRounds = regexp.MustCompile(`round|window|drained|checkpoints`)

// The operator is ended at the side effects of rounds, on the way to the next
// version; with NAWHAS_CRASH=all at every one, and on the way to the first version,
// too. See TestAnOperatorThatEndsAtAnyWriteIsReplaced.
func TestAnOperatorThatEndsInARoundIsReplaced(t *testing.T) {
	effects, atLeast := ofRounds, 12
	if os.Getenv("NAWHAS_CRASH") == "all" {
		effects, atLeast = nil, 100
	}
	for name, after := range crashes()[v1alpha1.CutoverStrict] {
		t.Run(name, func(t *testing.T) {
			w := withRounds(t, 20)
			w.newRelease(inRounds)
			crashes := 0
			if effects == nil {
				crashes = w.crashOn(isLive("3.1.2"), after)
				w.restart(cluster)
			} else {
				w.until("live", isLive("3.1.2"))
			}
			w.must(w.write("3.1.2"))
			w.release("3.2.0")
			crashes += w.crashAmong(effects, isLive("3.2.0"), after)
			if crashes < atLeast {
				t.Errorf("only %d crashes", crashes)
			}
			w.holdsTheLog("3.2.0")
			w.must(w.write("3.2.0"))
			w.restart(cluster)
			w.rounded("3.1.2")
			w.holdsTheLog("3.1.2")
			w.holdsTheLog("3.2.0")
		})
	}
}

func TestWhenLittleEnoughIsLeft(t *testing.T) {
	at := time.Now()
	round := func(from, until int64, took time.Duration) ledger.Round {
		return ledger.Round{Number: 2, From: from, Until: until, StartedAt: at, FinishedAt: ptr.To(at.Add(took))}
	}
	reported := ledger.Checkpoint{Position: 100, ReportedAt: &at}
	for name, c := range map[string]struct {
		v    ledger.Version
		head int64
		near bool
	}{
		"nothing in the log":              {ledger.Version{}, 0, true},
		"nothing applied yet":             {ledger.Version{}, 3, false},
		"nothing left":                    {ledger.Version{Checkpoint: reported}, 100, true},
		"few left":                        {ledger.Version{Checkpoint: reported}, 110, true},
		"many left and no round":          {ledger.Version{Checkpoint: reported}, 150, false},
		"no more than the last quick one": {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, time.Second)}}, 150, true},
		"more than the last quick one":    {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, time.Second)}}, 151, false},
		"no more than the last slow one":  {ledger.Version{Checkpoint: reported, Rounds: []ledger.Round{round(50, 100, 6*time.Second)}}, 150, false},
	} {
		if got := nearEnough(&c.v, c.head, 10, 10*time.Second); got != c.near {
			t.Errorf("%s: %v", name, got)
		}
	}
	slow := []ledger.Round{{Number: 4, From: 100, Until: 200, StartedAt: at, FinishedAt: ptr.To(at.Add(9 * time.Second))}, {Number: 3, From: 0, Until: 100}}
	if stagnant(slow, 10*time.Second) == "" {
		t.Error("rounds that do not shrink are not told")
	}
	slow[1].Until = 300
	if said := stagnant(slow, 10*time.Second); said != "" {
		t.Errorf("rounds that shrink are told: %s", said)
	}
}
