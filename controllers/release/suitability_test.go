package release

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// Whoever else appends is named, another release's version as well.
func TestOutsiders(t *testing.T) {
	granted := func(role, grantee string) eventlog.Writer {
		return eventlog.Writer{Role: role, Through: []eventlog.Grant{{Grantee: grantee, Grantor: "source"}}}
	}
	for name, c := range map[string]struct {
		writer eventlog.Writer
		live   ledger.Role
		want   []string
	}{
		"its own version":                  {granted("own_app", "own_app"), ledger.Live, nil},
		"the operator":                     {granted("databases", "own_app"), ledger.Live, nil},
		"a shared login":                   {granted("shared", "shared"), ledger.Live, []string{"shared (granted by source)"}},
		"what was there before, in place":  {granted("former", "former"), ledger.Candidate, nil},
		"what was there before, afterward": {granted("former", "former"), ledger.Live, []string{"former (granted by source)"}},
		"another release's version":        {granted("neighbour_app", "neighbour_app"), ledger.Live, []string{"neighbour_app (granted by source)"}},
		"a member of another release's":    {granted("shared", "neighbour_app"), ledger.Live, []string{"shared (as a member of neighbour_app, granted by source)"}},
	} {
		v := aVersion("1.0.0", c.live)
		v.AppRole = "own_app"
		s := &scope{release: &v1alpha1.NawhasRelease{}, versions: []*ledger.Version{v}, neighbours: []string{"neighbour_app"},
			source: accountNamed("source"), databases: accountNamed("databases"), writers: eventlog.Writers{Granted: []eventlog.Writer{c.writer}, Owners: []string{"source"}}}
		s.release.Spec.Source.FormerRoles = []string{"former"}
		if got := s.outsiders(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func accountNamed(name string) *connection {
	return &connection{config: &pgx.ConnConfig{Config: pgconn.Config{User: name}}}
}
