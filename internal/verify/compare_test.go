package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// sibling is another version's database, built from the same log.
func (b *built) sibling(version string) *built {
	b.t.Helper()
	other := *b
	other.database = postgres.Database(b.t)
	var err error
	other.edition, err = library.EditionOf(version)
	must(b.t, err)
	must(b.t, library.Migrate(b.t.Context(), b.connect(other.database), other.edition))
	_, err = projection.Replay(b.t.Context(), projection.Options{Source: b.source, Database: other.database, NewModel: other.edition.Model})
	must(b.t, err)
	return &other
}

// compared verifies b against a live database under a plan.
func (b *built) compared(live *built, plan Plan) (Evidence, error) {
	b.t.Helper()
	database, source, other := b.connect(b.database), b.connect(b.source), b.connect(live.database)
	defer closing(database)
	defer closing(source)
	defer closing(other)
	held, err := HoldLive(b.t.Context(), other, live.edition.Version, 0, 0)
	must(b.t, err)
	defer held.Release(b.t.Context())
	return Run(b.t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log, Plan: plan, Live: held})
}

func (e Evidence) check(name string) Check {
	if i := slices.IndexFunc(e.Checks, func(c Check) bool { return c.Name == name }); i >= 0 {
		return e.Checks[i]
	}
	return Check{Name: "no check " + name}
}

func (c *Comparison) table(name string) TableDifference {
	for _, t := range c.Tables {
		if t.Table == name {
			return t
		}
	}
	return TableDifference{Table: "no table " + name}
}

func TestVersionsThatAgreeAreFoundToAgree(t *testing.T) {
	live := build(t, 1000)
	candidate := live.sibling("3.2.0")
	evidence, err := candidate.compared(live, Plan{Compare: Require})
	if err != nil {
		t.Fatal(err)
	}
	c := evidence.Comparison
	if c == nil || c.Version != "3.1.2" || c.table("revisions").Rows < 900 || len(c.Tables) != 4 {
		t.Errorf("compared %+v", c)
	}
	if !slices.Equal(c.OnlyHere, []string{"shelved_albums", "shelves"}) || len(c.OnlyLive) != 0 {
		t.Errorf("only here %v, only live %v", c.OnlyHere, c.OnlyLive)
	}
}

func TestDifferencesAreCountedByKind(t *testing.T) {
	live := build(t, 1000)
	candidate := live.sibling("3.2.0")
	candidate.damage(
		"DELETE FROM albums WHERE id IN (SELECT id FROM albums ORDER BY id LIMIT 3)",
		"UPDATE albums SET title = 'Verysecret', year = '0000' WHERE id = (SELECT id FROM albums ORDER BY id OFFSET 20 LIMIT 1)",
		"UPDATE albums SET artwork = coalesce(artwork, '') || 'x' WHERE id IN (SELECT id FROM albums ORDER BY id OFFSET 40 LIMIT 12)",
		"INSERT INTO albums SELECT gen_random_uuid(), reciter_id, 'Verysecret', year, NULL, 1, created_at, updated_at FROM albums ORDER BY id LIMIT 2")
	for name, c := range map[string]struct {
		expected           []Expected
		faults, foreseen   int64
		samples, unsampled string
	}{
		"nothing is expected":          {nil, 18, 0, "differs in artwork", ""},
		"artwork is expected":          {[]Expected{{Table: "albums", Columns: []string{"artwork"}}}, 6, 12, "differs in title, year", "differs in artwork"},
		"two columns and more":         {[]Expected{{Table: "albums", Columns: []string{"artwork", "title"}}}, 6, 12, "differs in title, year", "differs in artwork"},
		"changes are expected":         {[]Expected{{Table: "albums", Kinds: []Kind{Changed}}}, 5, 13, "is missing", "differs"},
		"missing and extra are":        {[]Expected{{Table: "albums", Kinds: []Kind{Missing, Extra}}}, 13, 5, "differs", "is extra"},
		"all is expected":              {[]Expected{{Table: "albums"}}, 0, 18, "", ""},
		"another table's are expected": {[]Expected{{Table: "reciters"}}, 18, 0, "is missing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			evidence, _ := candidate.compared(live, Plan{Compare: Require, ExpectedDiff: c.expected})
			diff, check := evidence.Comparison.table("albums"), evidence.check("compared:albums")
			if diff.Missing != 3 || diff.Extra != 2 || diff.Changed != 13 || diff.Expected != c.foreseen {
				t.Errorf("counted %+v", diff)
			}
			samples := strings.Join(check.Samples, "\n")
			if check.Faults != c.faults || check.Passed != (c.faults == 0) || check.Advisory || len(check.Samples) > maxSamples {
				t.Errorf("%+v", check)
			}
			if !strings.Contains(samples, c.samples) || c.unsampled != "" && strings.Contains(samples, c.unsampled) || strings.Contains(samples, "Verysecret") {
				t.Errorf("the samples are\n%s", samples)
			}
			if !evidence.check("compared:reciters").Passed {
				t.Error("reciters differ")
			}
		})
	}
}

// A version may widen a type, and add, drop and reorder columns.
func TestColumnsThatBothHaveAreCompared(t *testing.T) {
	live := build(t, 400)
	candidate := live.sibling("3.1.2")
	live.damage("ALTER TABLE albums ADD COLUMN old text")
	live.damage("ALTER TABLE revisions ALTER COLUMN content TYPE jsonb")
	candidate.damage("ALTER TABLE albums ALTER COLUMN revision TYPE bigint, ADD COLUMN new text DEFAULT 'x'",
		"CREATE TABLE covers (reciter text, album text, PRIMARY KEY (reciter, album))", "INSERT INTO covers VALUES ('a', 'b'), ('a,', '\"'), ('B', '1')")
	live.damage("CREATE TABLE covers (album text, reciter text, PRIMARY KEY (reciter, album))", "INSERT INTO covers VALUES ('b', 'a'), ('\"', 'a,'), ('2', 'B')")
	evidence, _ := candidate.compared(live, Plan{Compare: Report})
	c := evidence.Comparison
	if !evidence.check("compared:albums").Passed || !evidence.check("compared:revisions").Passed || !slices.Contains(c.OnlyHere, "albums.new") || !slices.Contains(c.OnlyLive, "albums.old") {
		t.Errorf("compared %+v", c)
	}
	if covers := c.table("covers"); covers.Rows != 3 || covers.Missing != 1 || covers.Extra != 1 || covers.Changed != 0 {
		t.Errorf("a table with a key of two columns: %+v", covers)
	}
	if check := evidence.check("compared:covers"); check.Passed || !check.Advisory || !evidence.Passed {
		t.Errorf("a difference that is only reported: %+v of %v", check, evidence.Passed)
	}
}

func TestTablesWithoutACommonKeyAreTold(t *testing.T) {
	live := build(t, 50)
	candidate := live.sibling("3.1.2")
	candidate.damage("CREATE TABLE notes (note text)", "INSERT INTO notes VALUES ('a')")
	live.damage("CREATE TABLE notes (note text)", "INSERT INTO notes VALUES ('b')")
	evidence, _ := candidate.compared(live, Plan{Compare: Require})
	if check := evidence.check("compared:notes"); check.Passed || !strings.Contains(check.Detail, "primary key") {
		t.Errorf("%+v", check)
	}
}

func TestExpectationsOfWhatIsNotThereAreRefused(t *testing.T) {
	live := build(t, 50)
	for _, mode := range []Mode{Report, Require} {
		for _, expected := range []Expected{{Table: "songs"}, {Table: "albums", Columns: []string{"colour"}}, {Table: "checkpoint"}} {
			evidence, err := live.compared(live, Plan{Compare: mode, ExpectedDiff: []Expected{expected}})
			var failed *FailedError
			check := evidence.check("compared")
			if !errors.As(err, &failed) || check.Passed || check.Advisory || !strings.Contains(check.Detail, expected.Table) {
				t.Errorf("%s, %+v: %v", mode, expected, err)
			}
		}
	}
	if _, err := live.compared(live, Plan{Compare: Report, ExpectedDiff: []Expected{{Table: "albums", Columns: []string{"title"}}}}); err != nil {
		t.Error(err)
	}
}

func TestDatabasesAtTwoPositionsAreNotCompared(t *testing.T) {
	live := build(t, 50)
	candidate := live.sibling("3.1.2")
	must(t, library.Generate(t.Context(), live.connect(live.source), live.log, 10, 5, nil))
	follow(t, live, 60)
	for mode, passes := range map[Mode]bool{Report: true, Require: false, Off: true} {
		evidence, err := candidate.compared(live, Plan{Compare: mode})
		if (err == nil) != passes || mode != Off && evidence.check("compared").Passed {
			t.Errorf("%s: %v", mode, err)
		}
	}
	follow(t, candidate, 60)
	if _, err := candidate.compared(live, Plan{Compare: Require}); err != nil {
		t.Error(err)
	}
}

// The held snapshot stays where it is while the live version goes on.
func TestTheLiveDatabaseIsHeldAndGoesOn(t *testing.T) {
	live := build(t, 50)
	held, err := HoldLive(t.Context(), live.connect(live.database), "3.1.2", 50, time.Minute)
	must(t, err)
	defer held.Release(t.Context())
	must(t, library.Generate(t.Context(), live.connect(live.source), live.log, 10, 5, nil))
	follow(t, live, 60)
	checkpoint, err := projection.ReadCheckpoint(t.Context(), held.tx)
	if err != nil || held.Position != 50 || checkpoint.Position != 50 {
		t.Errorf("held at %d, now %d: %v", held.Position, checkpoint.Position, err)
	}
	_, err = HoldLive(t.Context(), live.connect(live.database), "3.1.2", 61, 0)
	var behind *BehindError
	if !errors.As(err, &behind) || behind.Position != 60 || behind.Want != 61 {
		t.Errorf("a position that is not reached: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := HoldLive(canceled, live.connect(live.database), "3.1.2", 61, time.Minute); err == nil {
		t.Error("waited although it was told to stop")
	}
}

func follow(t *testing.T, b *built, until int64) {
	t.Helper()
	_, err := projection.Follow(t.Context(), projection.Options{Source: b.source, Database: b.database, NewModel: b.edition.Model, Until: until})
	must(t, err)
}
