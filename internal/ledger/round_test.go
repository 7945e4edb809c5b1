package ledger_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestARoundMovesTheCheckpointWhenItIsFinished(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := begin(t, l, "3.1.2")
	if v.LastRound() != nil {
		t.Errorf("a version begins with %+v", v.LastRound())
	}
	tables := map[string]ledger.RoundTable{"public.reciters": {File: 7, Filled: true}}
	must(t, l.BeginRound(t.Context(), v, ledger.Round{Number: 1, Until: 40, Tables: tables}))
	v = know(t, l, "3.1.2")
	if round := v.LastRound(); round.From != 0 || round.Until != 40 || round.FinishedAt != nil || round.Tables["public.reciters"] != tables["public.reciters"] || v.Checkpoint.Position != 0 || v.Checkpoint.Target != 40 {
		t.Errorf("under way: %+v, %+v", round, v.Checkpoint)
	}
	must(t, l.StartRound(t.Context(), v, 1, "uid"))
	must(t, l.StartRound(t.Context(), v, 1, "uid"))
	must(t, l.FinishRound(t.Context(), v, 1, 38, "replaying"))
	must(t, l.BeginRound(t.Context(), v, ledger.Round{Number: 2, From: 40, Until: 50}))
	must(t, l.FinishRound(t.Context(), v, 2, 10, "replaying"))
	must(t, l.CompleteRounds(t.Context(), v, "complete"))
	v = know(t, l, "3.1.2")
	if len(v.Rounds) != 2 || v.Rounds[0].Number != 2 || v.Rounds[1].Job != "uid" || *v.Rounds[1].Events != 38 || v.Rounds[0].Took() <= 0 {
		t.Errorf("finished: %+v", v.Rounds)
	}
	if v.Checkpoint.Position != 50 || v.Checkpoint.Stage != "complete" || v.Checkpoint.ReportedAt == nil {
		t.Errorf("the checkpoint is %+v", v.Checkpoint)
	}
}

// Nothing is applied to a database twice, and nothing after something unknown.
func TestARoundOutOfPlaceIsRefused(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := begin(t, l, "3.1.2")
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ledger.ErrRoundOutOfPlace) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a round that begins later", l.BeginRound(t.Context(), v, ledger.Round{Number: 1, From: 5, Until: 9}))
	must(t, l.BeginRound(t.Context(), v, ledger.Round{Number: 1, Until: 9}))
	refused("a second one", l.BeginRound(t.Context(), v, ledger.Round{Number: 2, Until: 9}))
	must(t, l.StartRound(t.Context(), v, 1, "first"))
	refused("a second Job", l.StartRound(t.Context(), v, 1, "second"))
	must(t, l.FinishRound(t.Context(), v, 1, 9, "replaying"))
	if err := l.FinishRound(t.Context(), v, 1, 9, "replaying"); err == nil {
		t.Error("a round is finished twice")
	}
	refused("the same part of the log", l.BeginRound(t.Context(), v, ledger.Round{Number: 2, Until: 12}))
	must(t, l.BeginRound(t.Context(), v, ledger.Round{Number: 2, From: 9, Until: 12}))
	for range 2 {
		must(t, l.FailRound(t.Context(), v, 2, "it died"))
	}
	refused("a round after one that failed", l.BeginRound(t.Context(), v, ledger.Round{Number: 3, From: 9, Until: 12}))
	if failures, err := l.RoundFailures(t.Context(), v); err != nil || failures != 1 {
		t.Errorf("%d failures, %v", failures, err)
	}
	found := know(t, l, "3.1.2").Checkpoint
	if found.Problem == nil || found.Problem.Kind != ledger.KindRound || found.Problem.Position != 9 || found.Problem.Message != "it died" || found.Position != 9 {
		t.Errorf("the checkpoint is %+v", found)
	}
	must(t, l.Retire(t.Context(), v))
	must(t, l.Retired(t.Context(), v))
	again := begin(t, l, "3.1.2")
	must(t, l.BeginRound(t.Context(), again, ledger.Round{Number: 1, Until: 12}))
	if failures, err := l.RoundFailures(t.Context(), again); err != nil || failures != 1 {
		t.Errorf("%d failures are remembered, %v", failures, err)
	}
}

func TestOldRoundsAreForgotten(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := begin(t, l, "3.1.2")
	for n := range int32(15) {
		must(t, l.BeginRound(t.Context(), v, ledger.Round{Number: n + 1, From: int64(n), Until: int64(n) + 1}))
		must(t, l.FinishRound(t.Context(), v, n+1, 1, "complete"))
	}
	var kept int
	must(t, s.connect(t, "").QueryRow(t.Context(), "SELECT count(*) FROM nawhas_ledger.rounds").Scan(&kept))
	if kept != 10 || know(t, l, "3.1.2").LastRound().Number != 15 {
		t.Errorf("%d rounds are kept", kept)
	}
}

// Where the log is when a version loses its place is where its own application
// has taken its database.
func TestASwitchTellsWhereAnApplicationsOwnProjectionIs(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	one, two := begin(t, l, "3.1.2"), begin(t, l, "3.2.0")
	to := func(v *ledger.Version, head int64, self bool) {
		t.Helper()
		must(t, l.Guard(t.Context(), func(tx pgx.Tx) error { return l.SwitchSelfIn(t.Context(), tx, v, head, self) }))
	}
	to(one, 10, true)
	if found := know(t, l, "3.1.2"); found.Role != ledger.Live || found.Checkpoint.Stage != ledger.StageSelf {
		t.Errorf("live it is %+v", found)
	}
	to(two, 25, true)
	one, two = know(t, l, "3.1.2"), know(t, l, "3.2.0")
	if one.Role != ledger.Warm || one.Checkpoint.Stage != "complete" || one.Checkpoint.Position != 25 || two.Checkpoint.Stage != ledger.StageSelf {
		t.Errorf("warm it is %+v at %+v", one, one.Checkpoint)
	}
	must(t, l.BeginRound(t.Context(), one, ledger.Round{Number: 1, From: 25, Until: 30}))
	must(t, l.FinishRound(t.Context(), one, 1, 5, "complete"))
	to(one, 30, false)
	if found := know(t, l, "3.2.0"); found.Checkpoint.Position != 30 || know(t, l, "3.1.2").Checkpoint.Stage != "complete" {
		t.Errorf("after the way back %+v", found.Checkpoint)
	}
}

func TestAReleaseStaysWithItsLog(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	const normal, described = `"public"."events"."position"`, `"public"."stored_events"."id"`
	must(t, l.KeepLog(t.Context(), described, normal))
	must(t, l.KeepLog(t.Context(), normal, normal))
	must(t, l.KeepLog(t.Context(), described, normal))
	begin(t, l, "3.1.2")
	must(t, l.KeepLog(t.Context(), described, normal))
	for range 2 {
		opened := s.open(t, release)
		err := opened.KeepLog(t.Context(), normal, normal)
		if another, ok := errors.AsType[*ledger.AnotherLogError](err); !ok || another.Built != described || another.Described != normal {
			t.Errorf("got %v", err)
		}
		must(t, opened.KeepLog(t.Context(), described, normal))
	}
	old := s.open(t, "default/old")
	begin(t, old, "3.1.1")
	must(t, old.KeepLog(t.Context(), normal, normal))
	if err := old.KeepLog(t.Context(), described, normal); !errors.As(err, new(*ledger.AnotherLogError)) {
		t.Errorf("databases of before this was kept are from %v", err)
	}
}
