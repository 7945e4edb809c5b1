package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/verify"
)

// builtBeside has a live database that is followed and ahead of another one,
// which was replayed from the same log. It returns the live one's URL.
func builtBeside(t *testing.T) (live string) {
	t.Helper()
	environment(t)
	live = postgres.Database(t)
	succeed(t, "source", "init")
	succeed(t, "generate", "--events", "600")
	for _, database := range []string{live, os.Getenv("NAWHAS_DATABASE_URL")} {
		succeed(t, "migrate", "--database-url", database)
		succeed(t, "replay", "--database-url", database)
	}
	succeed(t, "generate", "--events", "50", "--seed", "2")
	succeed(t, "follow", "--until", "650", "--database-url", live)
	t.Setenv("NAWHAS_LIVE_DATABASE_URL", live)
	t.Setenv("NAWHAS_LIVE_VERSION", "3.1.1")
	return live
}

func evidenceOf(t *testing.T, out string) verify.Evidence {
	t.Helper()
	var evidence verify.Evidence
	if err := json.Unmarshal([]byte(out), &evidence); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return evidence
}

func TestTwoVersionsAreComparedAtThePositionOfTheLiveOne(t *testing.T) {
	builtBeside(t)
	t.Setenv("NAWHAS_VERIFY", `{"compare": "Require", "queries": [{"name": "position", "query": "SELECT position FROM checkpoint", "expect": "650"}]}`)
	evidence := evidenceOf(t, succeed(t, "verify", "-o", "json"))
	if evidence.Position != 650 || evidence.Events != 650 || evidence.Comparison == nil || evidence.Comparison.Version != "3.1.1" {
		t.Errorf("evidence %+v", evidence)
	}
	if out := succeed(t, "verify"); !strings.Contains(out, "compared with") || !strings.Contains(out, "query:position") {
		t.Errorf("printed %s", out)
	}
}

func TestDifferencesFromTheLiveVersionFailOnlyWhereTheyMust(t *testing.T) {
	live := builtBeside(t)
	postgres.Exec(t, database(live), "UPDATE albums SET title = title || '.'")
	for plan, code := range map[string]int{
		`{"compare": "Report"}`:  0,
		`{"compare": "Off"}`:     0,
		`{"compare": "Require"}`: exitVerification,
		`{"compare": "Require", "expectedDiff": [{"table": "albums", "columns": ["title"]}]}`: 0,
		`{"compare": "Report", "expectedDiff": [{"table": "songs"}]}`:                         exitVerification,
		`{"compare": "Always"}`: exitUsage,
	} {
		file := filepath.Join(t.TempDir(), "plan.json")
		check(t, os.WriteFile(file, []byte(plan), 0o600))
		_, err := nawhas(t, "verify", "--plan", file)
		if code == 0 && err != nil || code != 0 && (err == nil || exitCode(err) != code) {
			t.Errorf("%s: %v", plan, err)
		}
	}
}

func TestALiveDatabaseThatIsNotThereFailsOnlyWhereItMust(t *testing.T) {
	builtBeside(t)
	t.Setenv("NAWHAS_LIVE_DATABASE_URL", "postgres://x@127.0.0.1:1/x?connect_timeout=2")
	t.Setenv("NAWHAS_VERIFY", `{"compare": "Require"}`)
	if _, err := nawhas(t, "verify"); err == nil || exitCode(err) != exitFailed {
		t.Errorf("a comparison that is required and cannot be made: %v", err)
	}
	t.Setenv("NAWHAS_VERIFY", `{"compare": "Report"}`)
	if out := succeed(t, "verify"); !strings.Contains(out, "could not be compared") {
		t.Errorf("printed %s", out)
	}
}

func TestReportsArePrintedAndCompared(t *testing.T) {
	r := newRelease(t)
	t.Setenv("NAWHAS_BUILD", r.build.String())
	succeed(t, "generate", "--events", "100", "--source-url", postgres.URL(r.source))
	if _, err := nawhas(t, r.as(r.owner, "verify", "--report")...); err == nil || !strings.Contains(err.Error(), "no evidence") {
		t.Errorf("a report that was never made: %v", err)
	}
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	folder := t.TempDir()
	before, after := filepath.Join(folder, "before.json"), filepath.Join(folder, "after.json")
	check(t, os.WriteFile(before, []byte(succeed(t, r.as(r.owner, "verify", "-o", "json")...)), 0o600))
	if out := succeed(t, r.as(r.owner, "verify", "--report")...); !strings.Contains(out, "at position 100") || !strings.Contains(out, "albums-content") {
		t.Errorf("the ledger's report is %s", out)
	}
	check(t, os.WriteFile(after, []byte(succeed(t, r.as(r.owner, "verify", "--report", "-o", "json")...)), 0o600))
	if out := succeed(t, "verify", "--report", before, after); !strings.Contains(out, "say the same") {
		t.Errorf("the difference of two like reports is %s", out)
	}
	succeed(t, "generate", "--events", "20", "--seed", "9", "--source-url", postgres.URL(r.source))
	succeed(t, r.as(r.owner, "follow", "--until", "120")...)
	check(t, os.WriteFile(after, []byte(succeed(t, r.as(r.owner, "verify", "-o", "json")...)), 0o600))
	if out := succeed(t, "verify", "--report", before, after); !strings.Contains(out, "position: 100 -> 120") {
		t.Errorf("the difference is %s", out)
	}
	if out := succeed(t, "verify", "--report", before); !strings.Contains(out, "at position 100") {
		t.Errorf("a file's report is %s", out)
	}
}

func TestASecondReplayHasTheSameContent(t *testing.T) {
	environment(t)
	succeed(t, "source", "init")
	succeed(t, "generate", "--events", "9000")
	succeed(t, "migrate")
	succeed(t, "replay", "--chunk", "500")
	scratch := postgres.Database(t)
	evidence := evidenceOf(t, succeed(t, "verify", "--determinism", "--scratch-database-url", scratch, "-o", "json"))
	if last := evidence.Checks[len(evidence.Checks)-1]; last.Name != "determinism" || !last.Passed || last.Figure < 6 {
		t.Errorf("the last check is %+v", last)
	}
	postgres.Exec(t, database(os.Getenv("NAWHAS_DATABASE_URL")), "UPDATE outcomes SET events = events + 1")
	if _, err := nawhas(t, "verify", "--determinism", "--scratch-database-url", scratch); exitCode(err) != exitVerification || !strings.Contains(err.Error(), "outcomes") {
		t.Errorf("a content that a replay does not give: %v", err)
	}
	if _, err := nawhas(t, "verify", "--determinism"); exitCode(err) != exitUsage {
		t.Errorf("without a scratch database: %v", err)
	}
	if _, err := nawhas(t, "verify", "--determinism", "--scratch-database-url", os.Getenv("NAWHAS_DATABASE_URL")); exitCode(err) != exitUsage {
		t.Errorf("a scratch database that is somebody's: %v", err)
	}
}

func TestAReplayDoesNotBeginOnALogItDoesNotKnow(t *testing.T) {
	r := newRelease(t)
	succeed(t, "generate", "--events", "100", "--source-url", postgres.URL(r.source))
	postgres.Exec(t, r.source, "INSERT INTO events (id, name, payload) VALUES (gen_random_uuid(), 'ReciterKnighted', '{}')")
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	if _, err := nawhas(t, r.as(r.owner, "replay")...); exitCode(err) != exitPoison {
		t.Errorf("replay ended with %v", err)
	}
	var problem *string
	check(t, r.admin.QueryRow(t.Context(), "SELECT problem->>'name' FROM nawhas_ledger.checkpoints WHERE role = $1", r.owner).Scan(&problem))
	if position, stage, _ := r.reported(t); position != 0 || stage != "empty" || problem == nil || *problem != "ReciterKnighted" {
		t.Errorf("reported position %d, stage %q, problem %v", position, stage, problem)
	}
	out, err := nawhas(t, "verify", "--preflight", "--source-url", postgres.URLAs(r.owner, password, r.source))
	if exitCode(err) != exitPoison || !strings.Contains(out, "UNKNOWN") || !strings.Contains(out, "reciters, revisions") {
		t.Errorf("preflight ended with %v: %s", err, out)
	}
	scratch := postgres.Database(t)
	succeed(t, "migrate", "--database-url", scratch)
	succeed(t, "replay", "--unknown", "Skip", "--database-url", scratch, "--source-url", postgres.URL(r.source))
	postgres.Exec(t, r.source, "DELETE FROM events WHERE name = 'ReciterKnighted'")
	succeed(t, "verify", "--preflight", "--source-url", postgres.URLAs(r.owner, password, r.source))
	succeed(t, r.as(r.owner, "replay")...)
}
