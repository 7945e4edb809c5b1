package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestAHeldVersionStaysHeldUntilItsHoldIsLifted(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	first, second := begin(t, l, "3.1.2"), begin(t, l, "3.2.0")
	must(t, l.Switch(t.Context(), first))
	why := ledger.Held{At: time.Now().UTC(), Reason: "PodsNotReady", Message: "pod x", Wanted: "3.2.0", Retry: 3, ReturnTo: "3.1.2"}
	must(t, l.Hold(t.Context(), second, why)) // it is not live
	if v := know(t, l, "3.2.0"); v.Held != nil {
		t.Fatalf("a candidate is held: %+v", v.Held)
	}
	must(t, l.Switch(t.Context(), second))
	must(t, l.Hold(t.Context(), second, why))
	must(t, l.Hold(t.Context(), second, ledger.Held{Reason: "another"}))
	must(t, l.Switch(t.Context(), first))

	again := s.open(t, release)
	if v := know(t, again, "3.2.0"); v.Held == nil || *v.Held != why || v.Role != ledger.Warm {
		t.Fatalf("got %+v; want it held for the first reason", v)
	}
	for range 2 {
		must(t, again.LiftHold(t.Context(), second))
	}
	if v := know(t, again, "3.2.0"); v.Held != nil {
		t.Errorf("got %+v; want it free", v.Held)
	}
	if got, want := s.journal(t, "3.2.0"), []string{"Begun", "Live", "Held", "HoldLifted"}; !slices.Equal(got, want) {
		t.Errorf("the journal tells %v; want %v", got, want)
	}
}

func TestGoingLiveEndsWhatKeptAVersionAway(t *testing.T) {
	l := newSource(t).open(t, release)
	first, second := begin(t, l, "3.1.2"), begin(t, l, "3.2.0")
	must(t, l.Switch(t.Context(), first))
	must(t, l.Hold(t.Context(), first, ledger.Held{ReturnTo: "3.2.0"}))
	must(t, l.Switch(t.Context(), second))
	must(t, l.Postpone(t.Context(), first, time.Now().Add(time.Hour), "the writers were busy"))
	if v := know(t, l, "3.1.2"); v.Held == nil || v.NotBefore == nil {
		t.Fatalf("got %+v", v)
	}
	must(t, l.Switch(t.Context(), first))
	if v := know(t, l, "3.1.2"); v.Held != nil || v.NotBefore != nil {
		t.Errorf("it is live, and still %+v, not before %v", v.Held, v.NotBefore)
	}
}

func TestTheJournalTellsWhatASwitchWasBasedOn(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	first, second := begin(t, l, "3.1.2"), begin(t, l, "3.2.0")
	must(t, l.Switch(t.Context(), first))
	must(t, l.Mark(t.Context(), second, 41))
	server.Exec(t, s.database, "UPDATE nawhas_ledger.checkpoints SET position = 42 WHERE version = '3.2.0'")
	must(t, l.Switch(t.Context(), second))
	var epoch, watermark, checkpoint int64
	var from string
	err := s.connect(t, "").QueryRow(t.Context(), `SELECT epoch, evidence->>'from', (evidence->'watermark')::bigint, (evidence->'checkpoint')::bigint
		FROM nawhas_ledger.journal WHERE version = '3.2.0' AND transition = 'Live'`).Scan(&epoch, &from, &watermark, &checkpoint)
	if err != nil || epoch != l.Epoch() || from != "3.1.2" || watermark != 41 || checkpoint != 42 {
		t.Errorf("epoch %d, from %q, watermark %d, checkpoint %d, %v", epoch, from, watermark, checkpoint, err)
	}
}

func TestPlansOutliveTheCluster(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := begin(t, l, "3.1.2")
	if plan, err := l.Plan(t.Context(), v); err != nil || plan != nil {
		t.Fatalf("a new version has the plan %s, %v", plan, err)
	}
	for range 2 {
		must(t, l.KeepPlan(t.Context(), v, "a", []byte(`{"replicas":2}`)))
	}
	must(t, l.KeepPlan(t.Context(), v, "b", []byte(`{"replicas":3}`)))
	plan, err := s.open(t, release).Plan(t.Context(), v)
	if err != nil || strings.ReplaceAll(string(plan), " ", "") != `{"replicas":3}` || know(t, l, "3.1.2").PlanDigest != "b" {
		t.Errorf("got %s, %v", plan, err)
	}
	if got, want := s.journal(t, "3.1.2"), []string{"Begun", "Planned", "Planned"}; !slices.Equal(got, want) {
		t.Errorf("the journal tells %v; want %v", got, want)
	}
}

func TestALedgerOfAnotherInstallationIsLeftAlone(t *testing.T) {
	ours, theirs, none := newSource(t), newSource(t), newSource(t)
	known := ours.open(t, release).Installation()
	owner := theirs.open(t, release)
	for name, s := range map[string]source{"another": theirs, "none": none} {
		_, err := ledger.OpenKnown(t.Context(), s.pool(t, s.account), release, holder, known)
		refused, ok := errors.AsType[*ledger.ForeignError](err)
		if !ok || refused.Expected != known || (refused.Found == uuid.Nil) != (name == "none") || !strings.Contains(err.Error(), "put the Secret") {
			t.Errorf("%s: got %v; want a ForeignError", name, err)
		}
	}
	begin(t, owner, "3.1.2") // no epoch was taken
	var made bool
	must(t, none.connect(t, "").QueryRow(t.Context(), "SELECT to_regnamespace('nawhas_ledger') IS NOT NULL").Scan(&made))
	if made {
		t.Error("a ledger was made where there was none")
	}
	if l, err := ledger.OpenKnown(t.Context(), ours.pool(t, ours.account), release, holder, known); err != nil || l.Installation() != known {
		t.Errorf("its own ledger is refused: %v", err)
	}
}

func TestASuccessorWaitsForAChangeUnderWay(t *testing.T) {
	s := newSource(t)
	first := s.open(t, release)
	pool := s.pool(t, s.account)
	opened := make(chan error, 1)
	err := first.Guard(t.Context(), func(pgx.Tx) error {
		go func() {
			_, err := ledger.Open(t.Context(), pool, release, holder)
			opened <- err
		}()
		s.untilBlocked(t)
		return nil
	})
	must(t, err)
	must(t, <-opened)
	called := false
	err = first.Guard(t.Context(), func(pgx.Tx) error { called = true; return nil })
	if !errors.Is(err, ledger.ErrSuperseded) || called {
		t.Errorf("the former operator goes on: %v", err)
	}
}

// untilBlocked waits until a session waits for another one's lock.
func (s source) untilBlocked(t *testing.T) {
	t.Helper()
	conn := s.connect(t, "")
	for {
		var waiting bool
		must(t, conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting))
		if waiting {
			return
		}
	}
}

func TestNeighboursAreTheOtherReleases(t *testing.T) {
	s := newSource(t)
	l, other := s.open(t, release), s.open(t, "default/other")
	begin(t, l, "3.1.2")
	theirs := begin(t, other, "9.9.9")
	found, err := l.Neighbours(t.Context())
	if err != nil || !slices.Equal(found, []string{theirs.AppRole}) {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestALedgerFromABackupTakesAnEpochAboveThoseGivenOut(t *testing.T) {
	s := newSource(t)
	former := s.open(t, release)
	current := s.open(t, release)
	if err := former.Overtake(t.Context(), 100); !errors.Is(err, ledger.ErrSuperseded) {
		t.Errorf("a former operator overtakes: %v", err)
	}
	must(t, current.Overtake(t.Context(), 100))
	if current.Epoch() != 101 {
		t.Errorf("its epoch is %d", current.Epoch())
	}
	begin(t, current, "3.1.2")
	if next := s.open(t, release); next.Epoch() != 102 {
		t.Errorf("the next epoch is %d", next.Epoch())
	}
}
