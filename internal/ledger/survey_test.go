package ledger_test

import (
	"testing"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestALookSeesAllReleasesOfTheSource(t *testing.T) {
	s := newSource(t)
	one, other := s.open(t, "default/one"), s.open(t, "default/other")
	first := begin(t, one, "3.1.2")
	conn := s.connect(t, s.account)
	second := intent("default/other", "3.2.0")
	must(t, other.Begin(t.Context(), second))
	must(t, one.Switch(t.Context(), first))
	_, err := s.connect(t, "").Exec(t.Context(), `UPDATE nawhas_ledger.checkpoints SET stage = 'complete', position = 40, problem = '{"position": 41, "name": "ReciterCreated"}', audit = '{"passed": false}' WHERE role = $1`, first.OwnerRole)
	must(t, err)

	found, err := ledger.Look(t.Context(), conn, "SELECT 42::bigint")

	must(t, err)
	if found.Head != 42 || len(found.Versions) != 2 {
		t.Fatalf("saw %+v", found)
	}
	live, candidate := found.Versions[0], found.Versions[1]
	if live.Release != "default/one" || live.Role != ledger.Live || live.Position != 40 || live.AppRole != first.AppRole || live.Problem == nil || live.Problem.Position != 41 || !live.AuditFailed {
		t.Errorf("of the live version it saw %+v", live)
	}
	if candidate.Release != "default/other" || candidate.Version != "3.2.0" || candidate.Role != ledger.Candidate || candidate.Problem != nil || candidate.AuditFailed {
		t.Errorf("of the candidate it saw %+v", candidate)
	}
}

func TestALookAtALedgerWithoutReleasesSeesTheLog(t *testing.T) {
	s := newSource(t)
	s.open(t, release)

	found, err := ledger.Look(t.Context(), s.connect(t, s.account), "SELECT 7::bigint")

	must(t, err)
	if found.Head != 7 || len(found.Versions) != 0 {
		t.Errorf("saw %+v", found)
	}
}
