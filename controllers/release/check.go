package release

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// prepare reads the connections and takes a place on both servers, which the
// end of the pass gives back. It asks neither of them anything.
func (r *Reconciler) prepare(ctx context.Context, s *scope) error {
	var err error
	spec := &s.release.Spec
	if s.source, err = r.readConnection(ctx, s.release.Namespace, "source", spec.Source.Connection); err != nil {
		return err
	}
	s.log = logOf(tableOf(spec.Source.Log))
	s.source.log = s.log
	if s.databases, err = r.readConnection(ctx, s.release.Namespace, "databases", spec.Databases.Connection); err != nil {
		return err
	}
	if s.visit, err = r.servers.enter(client.ObjectKeyFromObject(s.release), s.source, s.databases, r.Tracer); err != nil {
		return err
	}
	s.source.config.Tracer, s.databases.config.Tracer = s.visit.source.config.Tracer, s.visit.databases.config.Tracer
	s.sourcePool, s.databasesPool = s.visit.source.pool, s.visit.databases.pool
	return nil
}

// defaultLog is shared by all releases whose source says nothing else.
var defaultLog = eventlog.New(eventlog.DefaultTable())

func logOf(table eventlog.Table) *eventlog.Log {
	if table.IsDefault() {
		return defaultLog
	}
	return eventlog.New(table)
}

// check finds what makes the servers unsuitable, before anything is written to
// either. What was suitable is not asked again while the connections stay the
// same; a right that is lost later shows in the step that needs it.
func (r *Reconciler) check(ctx context.Context, s *scope) error {
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
