package ledger_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// reporting begins a version whose owner-side role exists and may report.
func reporting(t *testing.T, l *ledger.Ledger, version string) *ledger.Version {
	t.Helper()
	v := intent(release, version)
	v.OwnerRole = newRole(t)
	must(t, l.Begin(t.Context(), v))
	for range 2 {
		must(t, l.AllowReporting(t.Context(), v.OwnerRole))
	}
	return v
}

func TestAReportReachesTheLedger(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v, other := reporting(t, l, "3.1.2"), reporting(t, l, "3.2.0")
	reporter := ledger.NewReporter(s.connect(t, v.OwnerRole))
	progress := ledger.Progress{Stage: "replaying", Position: 61, Target: 100, Rate: 58.2,
		Problem: &ledger.Problem{Position: 62, EventID: uuid.New(), Name: "ReciterRenamed", Version: 2, Projector: "reciters", Message: "unknown"}}
	must(t, reporter.Report(t.Context(), progress))
	must(t, reporter.Evidence(t.Context(), json.RawMessage(`{"hash": "abc"}`)))

	got := know(t, l, "3.1.2").Checkpoint
	if got.Stage != "replaying" || got.Position != 61 || got.Target != 100 || got.Rate != 58.2 || got.ReportedAt == nil ||
		string(got.Evidence) != `{"hash": "abc"}` || !reflect.DeepEqual(got.Problem, progress.Problem) {
		t.Errorf("got %+v", got)
	}
	if untouched := know(t, l, "3.2.0").Checkpoint; untouched.ReportedAt != nil || untouched.Position != 0 {
		t.Errorf("%s was changed as well: %+v", other.Version, untouched)
	}

	progress.Problem = nil
	must(t, reporter.Report(t.Context(), progress))
	if got := know(t, l, "3.1.2").Checkpoint; got.Problem != nil || string(got.Evidence) != `{"hash": "abc"}` {
		t.Errorf("got %+v; want the problem gone and the evidence kept", got)
	}
}

func TestARoleReachesItsOwnRowOnly(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v, other := reporting(t, l, "3.1.2"), reporting(t, l, "3.2.0")
	conn := s.connect(t, v.OwnerRole)

	var seen []string
	must(t, conn.QueryRow(t.Context(), "SELECT array_agg(role::text) FROM nawhas_ledger.checkpoints").Scan(&seen))
	if len(seen) != 1 || seen[0] != v.OwnerRole {
		t.Errorf("it sees %v; want itself", seen)
	}
	tag, err := conn.Exec(t.Context(), "UPDATE nawhas_ledger.checkpoints SET position = 1000")
	if err != nil || tag.RowsAffected() != 1 {
		t.Errorf("it changed %d rows, %v; want 1", tag.RowsAffected(), err)
	}
	tag, err = conn.Exec(t.Context(), "UPDATE nawhas_ledger.checkpoints SET position = 1000 WHERE role = '"+other.OwnerRole+"'")
	if err != nil || tag.RowsAffected() != 0 {
		t.Errorf("it changed %d rows of another, %v", tag.RowsAffected(), err)
	}
	for _, statement := range []string{
		"UPDATE nawhas_ledger.checkpoints SET role = 'mine'",
		"UPDATE nawhas_ledger.checkpoints SET release = 'mine'",
		"UPDATE nawhas_ledger.checkpoints SET version = 'mine'",
		"UPDATE nawhas_ledger.checkpoints SET build = gen_random_uuid()",
		"SELECT position FROM nawhas_ledger.checkpoints",
		"INSERT INTO nawhas_ledger.checkpoints (role, release, version, build) VALUES ('mine', 'r', 'v', gen_random_uuid())",
		"DELETE FROM nawhas_ledger.checkpoints",
		"TRUNCATE nawhas_ledger.checkpoints",
		"SELECT * FROM nawhas_ledger.versions",
		"SELECT * FROM nawhas_ledger.journal",
		"SELECT * FROM nawhas_ledger.installation",
		"UPDATE nawhas_ledger.versions SET role = 'Live'",
		"UPDATE nawhas_ledger.releases SET epoch = 0",
		"CREATE TABLE nawhas_ledger.mine ()",
	} {
		_, err := conn.Exec(t.Context(), statement)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			t.Errorf("%s: %v; want it refused for want of rights", statement, err)
		}
	}
}

func TestAnAuditGoesByTheEvidenceThatIsThere(t *testing.T) {
	s := newSource(t)
	l := s.open(t, release)
	v := reporting(t, l, "3.1.2")
	reporter := ledger.NewReporter(s.connect(t, v.OwnerRole))
	audit := func() string { return string(know(t, l, "3.1.2").Checkpoint.Audit) }
	first, second := json.RawMessage(`{"position": 1}`), json.RawMessage(`{"position": 2}`)

	must(t, reporter.Audit(t.Context(), json.RawMessage(`{"passed": true}`), first))
	if audit() != "" {
		t.Errorf("an audit without evidence is kept: %s", audit())
	}
	must(t, reporter.Evidence(t.Context(), first))
	must(t, reporter.Audit(t.Context(), json.RawMessage(`{"passed": true}`), first))
	evidence, found, err := reporter.Proofs(t.Context())
	if err != nil || string(evidence) != `{"position": 1}` || string(found) != `{"passed": true}` || audit() != string(found) {
		t.Errorf("proofs are %s and %s, %v", evidence, found, err)
	}
	must(t, reporter.Evidence(t.Context(), second))
	must(t, reporter.Audit(t.Context(), json.RawMessage(`{"passed": true}`), first))
	if audit() != "" {
		t.Errorf("an audit after other evidence is kept: %s", audit())
	}
	must(t, reporter.Audit(t.Context(), json.RawMessage(`{"passed": false}`), second))
	must(t, l.ForgetEvidence(t.Context(), v))
	if got := know(t, l, "3.1.2").Checkpoint; got.Audit != nil || got.Evidence != nil {
		t.Errorf("what is forgotten is still there: %+v", got)
	}
}

func TestReportingByHandIsNoError(t *testing.T) {
	bare := newSource(t)
	s := newSource(t)
	l := s.open(t, release)
	unnamed := newRole(t)
	must(t, l.AllowReporting(t.Context(), unnamed))
	for name, reporter := range map[string]*ledger.Reporter{
		"no ledger":    ledger.NewReporter(bare.connect(t, bare.account)),
		"no rights":    ledger.NewReporter(s.connect(t, newRole(t))),
		"no row":       ledger.NewReporter(s.connect(t, unnamed)),
		"an account's": ledger.NewReporter(s.connect(t, s.account)),
	} {
		if err := errors.Join(reporter.Report(t.Context(), ledger.Progress{Stage: "replaying"}), reporter.Evidence(t.Context(), json.RawMessage(`{}`)),
			reporter.Audit(t.Context(), json.RawMessage(`{}`), json.RawMessage(`{}`))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	conn := s.connect(t, unnamed)
	must(t, conn.Close(t.Context()))
	if err := ledger.NewReporter(conn).Report(t.Context(), ledger.Progress{}); err == nil {
		t.Error("a report over a closed connection counts as made")
	}
}
