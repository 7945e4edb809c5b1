package release

import (
	"context"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// check finds what makes the servers unsuitable, before anything is written to
// either. What was suitable is not asked again while the connections stay the
// same; a right that is lost later shows in the step that needs it.
func (r *Reconciler) check(ctx context.Context, s *scope) error {
	s.log = eventlog.New(eventlog.DefaultTable())
	suitable := s.source.digest() + s.databases.digest()
	if known, ok := r.suitable.Load(s.key()); ok && known == suitable {
		return nil
	}
	if err := s.log.Check(ctx, s.sourcePool); err != nil {
		return s.onSource(err)
	}
	if err := versiondb.CheckSourceAccount(ctx, s.sourcePool, ledger.Schema); err != nil {
		return s.onSource(err)
	}
	if err := s.log.CheckOwner(ctx, s.sourcePool); err != nil {
		return s.onSource(err)
	}
	if err := versiondb.CheckDatabasesAccount(ctx, s.databasesPool); err != nil {
		return s.onDatabases(err)
	}
	r.suitable.Store(s.key(), suitable)
	return nil
}
