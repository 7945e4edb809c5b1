package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// roles is what the ledger should say of one release: version to role.
type roles map[string]ledger.Role

// apply is the life of a version as the design tells it. It reports whether
// the transition may be recorded at all.
func (r roles) apply(transition, version string) bool {
	role, known := r[version]
	switch transition {
	case "begin":
		if !known {
			r[version] = ledger.Candidate
		}
	case "switch":
		if !known || role == ledger.Retiring {
			return false
		}
		for other, role := range r {
			if role == ledger.Live {
				r[other] = ledger.Warm
			}
		}
		r[version] = ledger.Live
	case "retire":
		if role == ledger.Candidate || role == ledger.Warm {
			r[version] = ledger.Retiring
		}
	case "retired":
		if role == ledger.Retiring {
			delete(r, version)
		}
	case "retire all":
		for version := range r {
			r[version] = ledger.Retiring
		}
	}
	return true
}

func TestNoSequenceOfTransitionsMakesTwoVersionsLive(t *testing.T) {
	s := newSource(t)
	pool := s.pool(t, s.account)
	witness := s.connect(t, "")
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		name := fmt.Sprintf("default/run-%d", runs)
		l, err := ledger.Open(t.Context(), pool, name, holder)
		must(t, err)
		expected := roles{}
		for range rapid.IntRange(1, 20).Draw(r, "transitions") {
			transition := rapid.SampledFrom([]string{"begin", "begin", "switch", "switch", "switch", "retire", "retired", "retire all", "take over"}).Draw(r, "transition")
			version := rapid.SampledFrom([]string{"1.0.0", "2.0.0", "3.0.0"}).Draw(r, "version")
			if transition == "take over" {
				former := l
				if l, err = ledger.Open(t.Context(), pool, name, holder); err != nil {
					r.Fatal(err)
				}
				if err := record(t, former, "switch", version); !errors.Is(err, ledger.ErrSuperseded) {
					r.Fatalf("the former operator switches to %s: %v", version, err)
				}
			} else if err := record(t, l, transition, version); (err == nil) != expected.apply(transition, version) {
				r.Fatalf("%s %s: %v", transition, version, err)
			}
			if found := rolesOf(t, witness, name); !maps.Equal(found, expected) {
				r.Fatalf("after %s %s the ledger says %v; want %v", transition, version, found, expected)
			}
		}
	})
}

func record(t *testing.T, l *ledger.Ledger, transition, version string) error {
	t.Helper()
	v := intent(l.Release(), version)
	v.Database, v.OwnerRole = l.Release()+v.Database, l.Release()+v.OwnerRole
	switch transition {
	case "begin":
		return l.Begin(t.Context(), v)
	case "switch":
		return l.Switch(t.Context(), v)
	case "retire":
		return l.Retire(t.Context(), v)
	case "retired":
		return l.Retired(t.Context(), v)
	default:
		return l.RetireAll(t.Context())
	}
}

func rolesOf(t *testing.T, conn *pgx.Conn, name string) roles {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT version, role FROM nawhas_ledger.versions WHERE release = $1", name)
	must(t, err)
	found := roles{}
	var version string
	var role ledger.Role
	live := 0
	_, err = pgx.ForEachRow(rows, []any{&version, &role}, func() error {
		found[version] = role
		if role == ledger.Live {
			live++
		}
		return nil
	})
	must(t, err)
	if live > 1 {
		t.Fatalf("%d versions of %s are live", live, name)
	}
	return found
}
