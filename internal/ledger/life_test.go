package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestBeginTwiceKeepsTheFirstBuild(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	first := begin(t, l, "3.1.2")
	before := s.content(t)
	second := intent(release, "3.1.2")
	second.Database = "another"
	must(t, l.Begin(t.Context(), second))
	if after := s.content(t); after != before {
		t.Errorf("the second Begin changed the ledger:\n%s\n\n%s", before, after)
	}
	known := know(t, l, "3.1.2")
	if known.Build != first.Build || known.Role != ledger.Candidate || known.OwnerRole != first.OwnerRole || known.CreatedAt.IsZero() {
		t.Errorf("got %+v", known)
	}
}

func TestTwoReleasesCannotHaveOneDatabase(t *testing.T) {
	s := newSource(t)
	begin(t, s.open(t, release), "3.1.2")
	other := s.open(t, "default/other")
	err := other.Begin(t.Context(), intent("default/other", "3.1.2"))
	taken, ok := errors.AsType[*ledger.TakenError](err)
	if !ok || taken.Release != release || taken.Database != "nawhas_v3_1_2" || !strings.Contains(err.Error(), "spec.databases.prefix") {
		t.Fatalf("got %v; want a TakenError", err)
	}
	if known := know(t, other, "3.1.2"); known != nil {
		t.Errorf("something was recorded: %+v", known)
	}
}

func TestStages(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := begin(t, l, "3.1.2")
	for range 2 {
		must(t, l.StartStage(t.Context(), v, "Migrated"))
	}
	started := know(t, l, "3.1.2")
	if started.Passed("Migrated") || started.Stages["Migrated"].StartedAt.IsZero() {
		t.Fatalf("got %+v; want it begun", started.Stages)
	}
	must(t, l.PassStage(t.Context(), v, "Migrated", map[string]any{"job": "migrate-1", "uid": "u", "image": "i", "detail": "7 migrations"}))
	must(t, l.PassStage(t.Context(), v, "Migrated", map[string]any{"job": "another"}))
	passed := know(t, l, "3.1.2")
	want := ledger.Summary{Job: "migrate-1", UID: "u", Image: "i", Detail: "7 migrations"}
	if !passed.Passed("Migrated") || passed.Stages["Migrated"].Summary() != want ||
		!passed.Stages["Migrated"].StartedAt.Equal(started.Stages["Migrated"].StartedAt) {
		t.Fatalf("got %+v; want it passed once, with its first evidence", passed.Stages)
	}
	if passed.Passed("Replayed") || passed.Stages["Replayed"].Summary() != (ledger.Summary{}) {
		t.Error("a stage that never began counts")
	}
	for range 2 {
		must(t, l.ReopenStage(t.Context(), v, "Migrated"))
	}
	if know(t, l, "3.1.2").Passed("Migrated") {
		t.Error("a reopened stage counts as passed")
	}
	if got, want := s.journal(t, "3.1.2"), []string{"Begun", "MigratedStarted", "Migrated", "MigratedReopened"}; !slices.Equal(got, want) {
		t.Errorf("the journal tells %v; want %v", got, want)
	}
}

// pass takes a version through the given stages.
func pass(t *testing.T, l *ledger.Ledger, v *ledger.Version, stages ...string) {
	t.Helper()
	for _, stage := range stages {
		must(t, l.PassStage(t.Context(), v, stage, map[string]string{"because": "it was seen"}))
	}
}

func TestAWholeLife(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	first := begin(t, l, "3.1.2")
	pass(t, l, first, "DatabaseReady", "Migrated", "Replayed", "Verified", "CaughtUp")
	for range 2 {
		must(t, l.PinImage(t.Context(), first, "ghcr.io/nawhas/api@sha256:1"))
	}
	must(t, l.Mark(t.Context(), first, 100))
	if v := know(t, l, "3.1.2"); v.Image != "ghcr.io/nawhas/api@sha256:1" || v.Mark == nil || *v.Mark != 100 || v.MarkedAt == nil {
		t.Fatalf("got %+v", v)
	}
	for range 2 {
		must(t, l.Switch(t.Context(), first))
	}
	pass(t, l, first, "Switched", "Fenced")
	if v := know(t, l, "3.1.2"); v.Role != ledger.Live || v.LiveSince == nil || v.WarmSince != nil || v.Mark != nil || v.Drains != 0 {
		t.Fatalf("got %+v; want it live", v)
	}

	second := begin(t, l, "3.2.0")
	pass(t, l, second, "DatabaseReady", "Migrated", "Replayed", "Verified", "CaughtUp")
	must(t, l.Switch(t.Context(), second))
	demoted(t, l, "3.1.2", 1)
	if v := know(t, l, "3.2.0"); v.Role != ledger.Live || !v.Passed("CaughtUp") {
		t.Errorf("got %+v; want it live with its stages", v)
	}

	pass(t, l, first, "CaughtUp")
	must(t, l.Switch(t.Context(), first))
	demoted(t, l, "3.2.0", 1)
	if v := know(t, l, "3.1.2"); v.Role != ledger.Live || v.WarmSince != nil || v.Drains != 1 || !v.Passed("CaughtUp") {
		t.Errorf("got %+v; want it back", v)
	}

	must(t, l.Retire(t.Context(), first))
	must(t, l.Retired(t.Context(), second))
	if a, b := know(t, l, "3.1.2"), know(t, l, "3.2.0"); a.Role != ledger.Live || b == nil {
		t.Fatalf("a live version was retired, or a warm one forgotten: %+v, %+v", a, b)
	}
	must(t, l.Retire(t.Context(), second))
	if v := know(t, l, "3.2.0"); v.Role != ledger.Retiring {
		t.Fatalf("got %+v; want it retiring", v)
	}
	for range 2 {
		must(t, l.Retired(t.Context(), second))
	}
	if v := know(t, l, "3.2.0"); v != nil {
		t.Fatalf("got %+v; want it forgotten", v)
	}
	want := []string{"Begun", "DatabaseReady", "Migrated", "Replayed", "Verified", "CaughtUp", "Live", "Retiring", "Retired"}
	if got := s.journal(t, "3.2.0"); !slices.Equal(got, want) {
		t.Errorf("the journal tells %v; want %v", got, want)
	}
	rebuilt := begin(t, l, "3.2.0")
	if v := know(t, l, "3.2.0"); v.Build != rebuilt.Build || v.Build == second.Build || len(v.Stages) != 0 || v.Drains != 0 {
		t.Errorf("got %+v; want a new life", v)
	}
}

func demoted(t *testing.T, l *ledger.Ledger, version string, drains int32) {
	t.Helper()
	v := know(t, l, version)
	if v.Role != ledger.Warm || v.WarmSince == nil || v.Drains != drains {
		t.Errorf("got %+v; want it warm and drained %d times", v, drains)
	}
	for _, stage := range []string{"CaughtUp", "Switched", "Fenced"} {
		if v.Passed(stage) {
			t.Errorf("%s is warm and needs not pass %s again", version, stage)
		}
	}
	for _, stage := range []string{"DatabaseReady", "Migrated", "Replayed", "Verified"} {
		if !v.Passed(stage) {
			t.Errorf("%s is warm and lost %s", version, stage)
		}
	}
}

func TestSwitchingToWhatCannotServeKeepsWhatServes(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	live, retiring := begin(t, l, "3.1.2"), begin(t, l, "3.2.0")
	must(t, l.Switch(t.Context(), live))
	pass(t, l, live, "CaughtUp", "Switched", "Fenced")
	must(t, l.Retire(t.Context(), retiring))
	before := s.content(t)
	for _, v := range []*ledger.Version{retiring, intent(release, "9.9.9")} {
		if err := l.Switch(t.Context(), v); err == nil {
			t.Errorf("the switch to %s is recorded", v.Version)
		}
	}
	must(t, l.Switch(t.Context(), live))
	if after := s.content(t); after != before {
		t.Errorf("the ledger changed:\n%s\n\n%s", before, after)
	}
}

func TestRetireAllTakesTheLiveVersionToo(t *testing.T) {
	s := newSource(t)
	l, other := s.open(t, release), s.open(t, "default/other")
	must(t, l.Switch(t.Context(), begin(t, l, "3.1.2")))
	begin(t, l, "3.2.0")
	begin(t, other, "9.9.9")
	for range 2 {
		must(t, l.RetireAll(t.Context()))
	}
	for _, version := range []string{"3.1.2", "3.2.0"} {
		if v := know(t, l, version); v.Role != ledger.Retiring {
			t.Errorf("got %+v; want it retiring", v)
		}
		if journal := s.journal(t, version); journal[len(journal)-1] != "Retiring" || slices.Index(journal, "Retiring") != len(journal)-1 {
			t.Errorf("the journal tells %v", journal)
		}
	}
	if v := know(t, other, "9.9.9"); v.Role != ledger.Candidate {
		t.Errorf("another release's version became %s", v.Role)
	}
}

func TestVersionsAreReadNewestFirst(t *testing.T) {
	l := newSource(t).open(t, release)
	for _, version := range []string{"3.1.2", "3.0.0", "3.2.0"} {
		begin(t, l, version)
	}
	versions, err := l.Versions(t.Context())
	must(t, err)
	var got []string
	for _, v := range versions {
		got = append(got, v.Version)
		if v.Build == uuid.Nil {
			t.Errorf("%s has no build", v.Version)
		}
	}
	if want := []string{"3.2.0", "3.0.0", "3.1.2"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}
