package ledger_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// noGrants are those of a log on which nobody has any.
const noGrants = "SELECT NULL::oid AS role, NULL::text AS granted WHERE false"

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

	found, err := ledger.Look(t.Context(), conn, "SELECT 42::bigint", noGrants)

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

	found, err := ledger.Look(t.Context(), s.connect(t, s.account), "SELECT 7::bigint", noGrants)

	must(t, err)
	if found.Head != 7 || len(found.Versions) != 0 {
		t.Errorf("saw %+v", found)
	}
}

// What somebody changes by hand is seen, and told of nobody else's version.
func TestALookSeesWhatBecomesOfTheRolesOfAVersion(t *testing.T) {
	s := newSource(t)
	one, other := s.open(t, "default/one"), s.open(t, "default/other")
	first := begin(t, one, "3.1.2")
	must(t, other.Begin(t.Context(), intent("default/other", "3.2.0")))
	conn, super := s.connect(t, s.account), s.connect(t, "")
	look := func() (string, string) {
		t.Helper()
		found, err := ledger.Look(t.Context(), conn, "SELECT 7::bigint", "SELECT 'pg_monitor'::regrole::oid AS role, 'x' AS granted")
		must(t, err)
		return found.Versions[0].Catalog, found.Versions[1].Catalog
	}
	before, neighbour := look()
	role := pgx.Identifier{first.OwnerRole}.Sanitize()
	for _, change := range []string{
		"CREATE ROLE " + role + " LOGIN",
		"GRANT UPDATE (position) ON nawhas_ledger.checkpoints TO " + role,
		"REVOKE UPDATE (position) ON nawhas_ledger.checkpoints FROM " + role,
		"GRANT USAGE ON SCHEMA nawhas_ledger TO " + role,
		"GRANT " + role + " TO pg_monitor",
		"ALTER ROLE " + role + " CONNECTION LIMIT 7",
		"ALTER ROLE " + role + " NOLOGIN",
		"ALTER ROLE " + role + " SET lock_timeout = '1s'",
	} {
		_, err := super.Exec(t.Context(), change)
		must(t, err)
		after, beside := look()
		if after == before {
			t.Errorf("nothing is seen of %s", change)
		}
		if again, _ := look(); again != after || beside != neighbour {
			t.Errorf("after %s another look differs, or that of another release", change)
		}
		before = after
	}
}
