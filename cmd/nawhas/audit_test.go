package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/verify"
)

// audit is what the ledger has of the follower's audit once it is as wanted.
func (r *release) audit(t *testing.T, what string, wanted func(verify.Evidence) bool) verify.Evidence {
	t.Helper()
	var found verify.Evidence
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var raw []byte
		check(t, r.admin.QueryRow(t.Context(), "SELECT audit FROM nawhas_ledger.checkpoints WHERE role = $1", r.owner).Scan(&raw))
		if raw == nil {
			continue
		}
		found = verify.Evidence{}
		check(t, json.Unmarshal(raw, &found))
		if wanted(found) {
			return found
		}
	}
	t.Fatalf("no audit that is %s; the last one is %+v", what, found)
	return found
}

func reaching(position int64) func(verify.Evidence) bool {
	return func(e verify.Evidence) bool { return e.Passed && e.Position == position }
}

func TestAFollowerAuditsWhatItApplies(t *testing.T) {
	r := newRelease(t)
	t.Setenv("NAWHAS_BUILD", r.build.String())
	more := func(events, seed string) {
		succeed(t, "generate", "--events", events, "--seed", seed, "--source-url", postgres.URL(r.source))
	}
	more("400", "1")
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	succeed(t, r.as(r.owner, "verify")...)
	if _, _, evidence := r.reported(t); !evidence.Audited {
		t.Error("the verification does not promise an audit")
	}
	stop := background(t, r.as(r.owner, "follow"))
	more("100", "2")
	first := r.audit(t, "at 500", reaching(500))
	if first.After != 400 || first.Build != r.build.String() {
		t.Errorf("audit %+v", first)
	}
	stop()

	// Events that are applied without an audit are audited by the next follower.
	more("50", "3")
	succeed(t, r.as(r.owner, "follow", "--until", "550")...)
	stop = background(t, r.as(r.owner, "follow"))
	if second := r.audit(t, "at 550", reaching(550)); second.After < 400 {
		t.Errorf("audit %+v", second)
	}
	if out := succeed(t, r.as(r.owner, "verify", "--report")...); !strings.Contains(out, "at position 550") || !strings.Contains(out, "audit:albums") {
		t.Errorf("printed %s", out)
	}
	stop()

	more("50", "4")
	succeed(t, r.as(r.owner, "follow", "--until", "600")...)
	postgres.Exec(t, r.database, "DELETE FROM projected_events WHERE event_id = (SELECT event_id FROM projected_events ORDER BY projected_at DESC LIMIT 1)")
	stop = background(t, r.as(r.owner, "follow"))
	failed := r.audit(t, "failed", func(e verify.Evidence) bool { return !e.Passed })
	stop()
	if failed.After != 550 || failed.Position != 600 {
		t.Errorf("audit %+v", failed)
	}
	if _, err := nawhas(t, r.as(r.owner, "verify", "--after", "550")...); exitCode(err) != exitVerification || !strings.Contains(err.Error(), "audit:events") {
		t.Errorf("an audit by hand: %v", err)
	}
	if _, err := nawhas(t, r.as(r.owner, "verify", "--after", "-1")...); exitCode(err) != exitUsage {
		t.Errorf("an audit from nowhere: %v", err)
	}
	// A verification is the last word: what was audited before it is forgotten.
	if _, err := nawhas(t, r.as(r.owner, "verify")...); exitCode(err) != exitVerification {
		t.Errorf("a verification of it: %v", err)
	}
	var audits int
	check(t, r.admin.QueryRow(t.Context(), "SELECT count(audit) FROM nawhas_ledger.checkpoints").Scan(&audits))
	if audits != 0 {
		t.Errorf("%d audits are left", audits)
	}
}

// A follower that nobody has verified has nothing to go by.
func TestAFollowerWithoutAVerificationAuditsNothing(t *testing.T) {
	r := newRelease(t)
	t.Setenv("NAWHAS_BUILD", r.build.String())
	succeed(t, "generate", "--events", "100", "--source-url", postgres.URL(r.source))
	succeed(t, "migrate", "--database-url", postgres.URLAs(r.owner, password, r.database))
	succeed(t, r.as(r.owner, "replay")...)
	stop := background(t, r.as(r.owner, "follow"))
	succeed(t, "generate", "--events", "10", "--seed", "2", "--source-url", postgres.URL(r.source))
	for position := int64(0); position < 110; position, _, _ = r.reported(t) {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	var audits int
	check(t, r.admin.QueryRow(t.Context(), "SELECT count(audit) FROM nawhas_ledger.checkpoints").Scan(&audits))
	if audits != 0 {
		t.Errorf("%d audits", audits)
	}
}
