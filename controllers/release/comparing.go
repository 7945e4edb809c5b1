package release

import (
	"context"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// comparedWith is the version whose database the target's is compared with, or
// nil: nothing is live yet, or nobody wants to know.
func (s *scope) comparedWith(p *plan) *ledger.Version {
	live := s.live()
	// Rows that an application projected itself hold the time at which it did.
	if p.inRounds() || p.Verify.Compare == v1alpha1.CompareOff || live == nil || live.Version == s.target.Version || !s.existing[live.Database] {
		return nil
	}
	return live
}

// allowComparing lets the target's owner-side role read the live version's
// database until the target is verified or retired.
func (s *scope) allowComparing(ctx context.Context, live *ledger.Version) error {
	if live == nil {
		return nil
	}
	return s.guarded(ctx, func() error {
		if err := s.databasesServer().AllowComparing(ctx, live.Database, s.target.OwnerRole); err != nil {
			return s.onDatabases(err)
		}
		return nil
	})
}

// forbidComparing takes from a version the right to read the databases of
// others. It is to be called in a guard.
func (s *scope) forbidComparing(ctx context.Context, v *ledger.Version) error {
	var others []string
	for _, other := range s.versions {
		if other.Version != v.Version {
			others = append(others, other.Database)
		}
	}
	if len(others) == 0 {
		return nil
	}
	if err := s.databasesServer().ForbidComparing(ctx, s.databasesPool, others, v.OwnerRole); err != nil {
		return s.onDatabases(err)
	}
	return nil
}

func (s *scope) databasesServer() versiondb.Server {
	return versiondb.Server{Config: s.databases.config}
}
