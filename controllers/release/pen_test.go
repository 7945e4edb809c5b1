package release

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// canAppend asks Postgres itself.
func (w *world) canAppend(version string) (can bool) {
	w.t.Helper()
	w.must(w.admin(w.sourceDatabase).QueryRow(w.t.Context(), "SELECT has_any_column_privilege($1, 'events', 'INSERT')", w.appRole(version)).Scan(&can))
	return can
}

func (w *world) appRole(version string) string {
	return w.prefix + strings.ReplaceAll(version, ".", "_") + "_app"
}

// scope is what a pass gathers.
func (w *world) scope() *scope {
	w.t.Helper()
	s := &scope{release: w.get(), now: w.clock.Now()}
	w.must(w.reconciler.gather(w.t.Context(), s))
	w.t.Cleanup(s.visit.leave)
	return s
}

// An operator that another one took over, in the middle of giving or taking a right:
// the session that holds its epoch has ended, and its statement comes late.
func TestARightDoesNotChangeAfterTheOperatorWasTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		statement, version string
		can                bool
	}{
		"given": {statement: `"version") ON "public"."events" TO `, version: "3.2.0"},
		"taken": {statement: `REVOKE INSERT ON "public"."events" FROM `, version: "3.1.2", can: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			w.until("live", isLive("3.1.2"))
			w.restart(cluster)
			tookOver := false
			w.reconciler.Tracer = &meanwhile{statement: c.statement + `"` + w.appRole(c.version) + `"`, do: func() {
				postgres.Exec(t, "postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+w.sourceDatabase+"' AND state = 'idle in transaction'")
				pool, err := pgxpool.New(t.Context(), postgres.URLAs(w.source, "secret", w.sourceDatabase))
				w.must(err)
				defer pool.Close()
				_, err = ledger.Open(t.Context(), pool, w.namespace+"/nawhas", "another")
				w.must(err)
				tookOver = true
			}}
			w.release("3.2.0")
			for range passes {
				_, _ = w.pass()
				if tookOver {
					break
				}
				w.kubelet.work()
			}
			if got := w.canAppend(c.version); !tookOver || got != c.can {
				t.Errorf("version %s can append: %v (taken over: %v)", c.version, got, tookOver)
			}
		})
	}
}

// What a pass has read may be older than the ledger.
func TestTheRightToAppendFollowsTheLedger(t *testing.T) {
	w := twoVersions(t)
	s := w.scope()
	for _, v := range s.versions {
		if v.Version == "3.1.2" {
			v.Role = ledger.Live
			if err := s.allowAppending(t.Context(), v); err == nil || w.canAppend("3.1.2") {
				t.Errorf("a version that is not live can append: %v", err)
			}
			continue
		}
		v.Role = ledger.Warm
		if err := s.forbidAppending(t.Context(), v); err == nil || !w.canAppend("3.2.0") {
			t.Errorf("the live version cannot append: %v", err)
		}
	}
}

// Whoever gives a fenced version its right back is not spared because that version is
// asked for and waits: it is not live.
func TestAFencedVersionThatWaitsToComeBackCannotAppend(t *testing.T) {
	w := twoVersions(t)
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.1.2", v1alpha1.PromotionManual
	})
	w.until("waiting", switchedSays(v1alpha1.ReasonAwaitingApproval, "3.1.2"))
	postgres.Exec(t, w.sourceDatabase, "SET ROLE "+w.source+"; GRANT INSERT (id, name, payload) ON events TO "+w.appRole("3.1.2"))
	w.settle()
	if w.canAppend("3.1.2") {
		t.Errorf("version 3.1.2 can append:\n%s", w.told())
	}
	var reopened bool
	w.must(w.admin(w.sourceDatabase).QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM nawhas_ledger.journal WHERE version = '3.2.0' AND transition = 'FencedReopened')").Scan(&reopened))
	if !reopened {
		t.Error("what it has begun to append is not waited for")
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })
	w.until("live", isLive("3.1.2"))
	w.onlyAppends("3.1.2", "3.2.0")
}

// The answer to a switch may be lost, and the ledger not be there to tell: what this
// pass has read is not to be put back.
func TestNothingIsPutBackWhenNobodyKnowsWhatIsLive(t *testing.T) {
	w := twoVersions(t)
	s := w.scope()
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (switchStage{w.reconciler}).makeLive(lost, s); err == nil || !s.outdated {
		t.Errorf("it goes on by what it has read: %v", err)
	}
}
