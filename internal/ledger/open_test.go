package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestEveryOpenOfALedgerIsTheSameInstallation(t *testing.T) {
	s := newSource(t)
	first := s.open(t, release)
	if again := s.open(t, "default/other"); again.Installation() != first.Installation() || again.Release() != "default/other" {
		t.Errorf("got %s of %s; want %s", again.Installation(), again.Release(), first.Installation())
	}
	if elsewhere := newSource(t).open(t, release); elsewhere.Installation() == first.Installation() {
		t.Error("two ledgers share an installation")
	}
}

func TestOperatorsMayOpenAnAbsentLedgerAtOnce(t *testing.T) {
	s := newSource(t)
	var group sync.WaitGroup
	errs := make([]error, 6)
	begin := make(chan struct{})
	for i := range errs {
		pool := s.pool(t, s.account)
		must(t, pool.Ping(t.Context()))
		group.Go(func() {
			<-begin
			_, errs[i] = ledger.Open(t.Context(), pool, release, holder)
		})
	}
	close(begin)
	group.Wait()
	must(t, errors.Join(errs...))
}

func TestASupersededOperatorChangesNothing(t *testing.T) {
	s := newSource(t)
	old := s.open(t, release)
	v, warm := begin(t, old, "3.1.2"), begin(t, old, "3.1.1")
	must(t, old.Switch(t.Context(), warm))
	must(t, old.StartStage(t.Context(), v, "Migrated"))
	reporter := newRole(t)
	other := s.open(t, "default/other")
	s.open(t, release)
	before := s.content(t)

	for name, write := range map[string]func() error{
		"Begin":          func() error { return old.Begin(t.Context(), intent(release, "3.1.3")) },
		"StartStage":     func() error { return old.StartStage(t.Context(), v, "Replayed") },
		"PassStage":      func() error { return old.PassStage(t.Context(), v, "Migrated", nil) },
		"ReopenStage":    func() error { return old.ReopenStage(t.Context(), v, "Migrated") },
		"PinImage":       func() error { return old.PinImage(t.Context(), v, "image@sha256:0") },
		"Mark":           func() error { return old.Mark(t.Context(), v, 7) },
		"Switch":         func() error { return old.Switch(t.Context(), v) },
		"Retire":         func() error { return old.Retire(t.Context(), v) },
		"RetireAll":      func() error { return old.RetireAll(t.Context()) },
		"LetGo":          func() error { return old.LetGo(t.Context()) },
		"Retired":        func() error { return old.Retired(t.Context(), v) },
		"Hold":           func() error { return old.Hold(t.Context(), warm, ledger.Held{ReturnTo: "3.1.2"}) },
		"LiftHold":       func() error { return old.LiftHold(t.Context(), v) },
		"Postpone":       func() error { return old.Postpone(t.Context(), v, time.Now(), "") },
		"KeepPlan":       func() error { return old.KeepPlan(t.Context(), v, "digest", []byte("{}")) },
		"BeginRound":     func() error { return old.BeginRound(t.Context(), v, ledger.Round{Number: 1, Until: 9}) },
		"StartRound":     func() error { return old.StartRound(t.Context(), v, 1, "uid") },
		"FinishRound":    func() error { return old.FinishRound(t.Context(), v, 1, 9, "complete") },
		"FailRound":      func() error { return old.FailRound(t.Context(), v, 1, "why") },
		"CompleteRounds": func() error { return old.CompleteRounds(t.Context(), v, "complete") },
		"KeepLog":        func() error { return old.KeepLog(t.Context(), "another", "default") },
		"AllowReporting": func() error { return old.AllowReporting(t.Context(), reporter) },
	} {
		if err := write(); !errors.Is(err, ledger.ErrSuperseded) {
			t.Errorf("%s: %v; want ErrSuperseded", name, err)
		}
	}
	if after := s.content(t); after != before {
		t.Errorf("it changed the ledger:\n%s\n\n%s", before, after)
	}
	versions, err := old.Versions(t.Context())
	if err != nil || len(versions) != 2 {
		t.Errorf("it reads %d versions, %v; want 2", len(versions), err)
	}
	must(t, other.Begin(t.Context(), intent("default/other", "9.9.9")))
}

// An object that is deleted opens what it holds, or nobody does, and leaves what
// another one holds.
func TestWhoIsDeletedTakesNothingFromAnother(t *testing.T) {
	s := newSource(t)
	opened := s.open(t, release)
	pool := s.pool(t, s.account)

	_, err := ledger.OpenHeld(t.Context(), pool, release, "another", opened.Installation())
	if held, ok := errors.AsType[*ledger.HeldError](err); !ok || held.Holder != holder || held.Release != release {
		t.Errorf("another object: %v", err)
	}
	if _, ok := errors.AsType[*ledger.ForeignError](func() error {
		_, err := ledger.OpenHeld(t.Context(), pool, release, holder, uuid.New())
		return err
	}()); !ok {
		t.Error("another installation's is opened")
	}
	must(t, opened.LetGo(t.Context())) // whose epoch is still the newest
	again, err := ledger.OpenHeld(t.Context(), pool, release, "another", uuid.Nil)
	must(t, err)
	if by, err := again.Holder(t.Context()); err != nil || by != "another" || again.Epoch() <= opened.Epoch() {
		t.Errorf("held by %q at epoch %d, %v", by, again.Epoch(), err)
	}
}

func TestAnAccountThatOnlyHasTheSchemaOpensIt(t *testing.T) {
	s := newSource(t)
	s.open(t, release)
	server.Exec(t, "postgres", "ALTER DATABASE "+s.database+" OWNER TO postgres")
	begin(t, s.open(t, release), "3.1.2")

	prepared := newSource(t)
	server.Exec(t, "postgres", "ALTER DATABASE "+prepared.database+" OWNER TO postgres")
	if _, err := ledger.Open(t.Context(), prepared.pool(t, prepared.account), release, holder); err == nil {
		t.Fatal("a ledger without the right to make one")
	}
	server.Exec(t, prepared.database, "CREATE SCHEMA nawhas_ledger AUTHORIZATION "+prepared.account)
	begin(t, prepared.open(t, release), "3.1.2")
}

func TestAMemberOfTheOwnerOpensTheLedger(t *testing.T) {
	s := newSource(t)
	first := s.open(t, release)
	member := newRole(t)
	server.Exec(t, "postgres", "GRANT "+s.account+" TO "+member)
	taken, err := ledger.Open(t.Context(), s.pool(t, member), release, holder)
	must(t, err)
	begin(t, taken, "3.1.2")
	if err := first.Begin(t.Context(), intent(release, "3.1.3")); !errors.Is(err, ledger.ErrSuperseded) {
		t.Errorf("the first account goes on: %v", err)
	}
}

func TestALedgerOfANewerOperatorIsLeftAlone(t *testing.T) {
	s := newSource(t)
	current := s.open(t, release)
	server.Exec(t, s.database, "UPDATE nawhas_ledger.schema_version SET version = version + 1")
	if _, err := ledger.Open(t.Context(), s.pool(t, s.account), release, holder); !errors.Is(err, ledger.ErrNewer) || !strings.Contains(err.Error(), "newer") {
		t.Fatalf("got %v; want ErrNewer", err)
	}
	begin(t, current, "3.1.2") // no epoch was taken
}

func TestALedgerOfAnOlderOperatorIsTakenAlong(t *testing.T) {
	s := newSource(t)
	first := begin(t, s.open(t, release), "3.1.2")
	server.Exec(t, s.database, "ALTER TABLE nawhas_ledger.versions DROP COLUMN held, DROP COLUMN not_before, DROP COLUMN plan, DROP COLUMN plan_digest",
		"ALTER TABLE nawhas_ledger.checkpoints DROP COLUMN audit", "ALTER TABLE nawhas_ledger.releases DROP COLUMN holder, DROP COLUMN log",
		"DROP TABLE nawhas_ledger.rounds",
		"UPDATE nawhas_ledger.schema_version SET version = 1")
	l := s.open(t, release)
	if v := know(t, l, "3.1.2"); v == nil || v.Build != first.Build || v.Held != nil || v.PlanDigest != "" {
		t.Fatalf("got %+v; want what the older one had written", v)
	}
	must(t, l.KeepPlan(t.Context(), first, "digest", []byte("{}")))
}
