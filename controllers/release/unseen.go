package release

import (
	"context"
	"time"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// troubledPause is between two looks at what a version needs on the servers
// while something of it does not run as it should.
const troubledPause = time.Minute

// isDue reports whether what was made sure of at a time is to be made sure of
// again although nobody saw it change. What a role's password is, and what rights
// there are within a version's own database, no poller can see: that is looked at
// when the release is, and when something of the version is in trouble, which may be
// the reason.
func (s *scope) isDue(v *ledger.Version, at time.Time, recheck time.Duration) bool {
	since := s.now.Sub(at)
	return since >= spread(s.key(), recheck) || since >= troubledPause && s.isTroubled(v)
}

// isTroubled reports whether pods are missing that a version should have, or its
// follower does not keep up.
func (s *scope) isTroubled(v *ledger.Version) bool {
	lags := followed(v) && s.behind(v) > ptr.Deref(s.release.Spec.Cutover.MaxLag, 0)
	for i := range s.deployments {
		d := &s.deployments[i]
		wanted := ptr.Deref(d.Spec.Replicas, 1)
		if d.Labels[v1alpha1.LabelVersion] != v.Version || wanted == 0 {
			continue
		}
		if d.Status.AvailableReplicas < wanted || lags && d.Labels[v1alpha1.LabelStage] == followerName {
			return true
		}
	}
	return false
}

// keepPassword puts a password back that somebody changed on a server. What is at
// one address is one server, and is asked once.
func (s *scope) keepPassword(ctx context.Context, role versiondb.Role) error {
	if !versiondb.TakesPassword(ctx, s.source.as(role.Name, role.Password, s.source.database())) {
		if err := versiondb.ResetPassword(ctx, s.sourcePool, role); err != nil {
			return s.onSource(err)
		}
	}
	if s.databases.address() == s.source.address() || versiondb.TakesPassword(ctx, s.databases.as(role.Name, role.Password, s.databases.database())) {
		return nil
	}
	if err := versiondb.ResetPassword(ctx, s.databasesPool, role); err != nil {
		return s.onDatabases(err)
	}
	return nil
}
