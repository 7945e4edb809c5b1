package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// overridden is a variable that Laravel prefers to all others that say where
// its databases are.
const overridden = "DATABASE_URL"

// unsuitable says why a version cannot be built in rounds, nil when it can: an
// event that anybody else appends would never be in its database, and one whose
// connection is not the operator's would be in another.
func (s *scope) unsuitable(v *ledger.Version) *outcome {
	if others := s.outsiders(); len(others) > 0 {
		result := blocked(v1alpha1.ReasonOthersCanAppend, fmt.Sprintf(
			"an application that projects its own events cannot be released while others can append to the log, because nobody would project theirs: %s. "+
				"Take their right (REVOKE INSERT ON … FROM …, or another owner of the table) and let their pods run as workloads of this release", strings.Join(others, ", ")), pollSlow)
		return &result
	}
	if len(s.unseen) > 0 {
		result := blocked(v1alpha1.ReasonMissingRights, fmt.Sprintf(
			"nobody could tell whether %s has completed what it appended before the first version takes over: the account of the source does not see its statements. "+
				"Run GRANT pg_read_all_stats TO %s as an administrator", strings.Join(s.unseen, ", "), pgx.Identifier{s.source.config.User}.Sanitize()), pollSlow)
		return &result
	}
	if containers := overriding(s.plans[v.Version]); len(containers) > 0 {
		result := blocked(v1alpha1.ReasonUnsuitable, fmt.Sprintf(
			"%s set %s, which an application may prefer to the connection that it is given: take it away, or set it to \"\"", strings.Join(containers, ", "), overridden), pollSlow)
		return &result
	}
	return nil
}

// unseenFormerRoles are those from before there was a release whose statements the
// source's account may not see, while that matters: see [strictSwitch.letThemComplete].
func (s *scope) unseenFormerRoles(ctx context.Context) ([]string, error) {
	if s.live() != nil || len(s.log.Table().Updated) == 0 || len(s.release.Spec.Source.FormerRoles) == 0 {
		return nil, nil
	}
	rows, err := s.sourcePool.Query(ctx, `SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1)
		AND NOT pg_has_role(oid, 'USAGE') AND NOT pg_has_role('pg_read_all_stats', 'USAGE') ORDER BY 1`, s.release.Spec.Source.FormerRoles)
	if err != nil {
		return nil, fmt.Errorf("read whose statements can be seen: %w", err)
	}
	unseen, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read whose statements can be seen: %w", err)
	}
	return unseen, nil
}

// unsuitableNow says why a target that was built in rounds cannot go live: since it was
// asked first, while it was built, it may have waited for days, or have been live before.
//
// A version that fails is sent back all the same. It is no better off by staying: who
// else appends does so beside it as well, and Fenced goes on naming them. The variables
// of a version that was live are those with which it was built.
func (s *scope) unsuitableNow() *outcome {
	if !s.plans[s.target.Version].inRounds() || s.isSentBackTo(s.target) {
		return nil
	}
	return s.unsuitable(s.target)
}

// isSentBackTo reports whether the live version fails and is to make way for this one.
func (s *scope) isSentBackTo(v *ledger.Version) bool {
	live := s.live()
	return live != nil && live.Held != nil && live.Held.ReturnTo == v.Version
}

// outsiders are all that can append to the log, but for this release's versions,
// the operator's own accounts and superusers. Those of another release are: they
// project into databases of their own. While nothing is live, the roles from before
// there was a release are not: the first switch takes their right.
func (s *scope) outsiders() []string {
	known := slices.Concat(appRoles(s.versions), s.operators())
	if s.live() == nil {
		known = append(known, s.release.Spec.Source.FormerRoles...)
	}
	others := strangers(s.writers, known, nil)
	for _, owner := range s.writers.Owners {
		if !slices.Contains(s.operators(), owner) {
			others = append(others, owner+" (owns the log)")
		}
	}
	return others
}

// overriding names what sets the variable that overrides all others.
func overriding(p *plan) []string {
	var found []string
	if sets(p.Env) {
		found = append(found, "spec.env")
	}
	for _, workload := range p.Workloads {
		for _, container := range slices.Concat(workload.Template.Spec.InitContainers, workload.Template.Spec.Containers) {
			if sets(container.Env) {
				found = append(found, fmt.Sprintf("container %s of workload %s", container.Name, workload.Name))
			}
		}
	}
	return found
}

func sets(env []corev1.EnvVar) bool {
	return slices.ContainsFunc(env, func(e corev1.EnvVar) bool { return e.Name == overridden && (e.Value != "" || e.ValueFrom != nil) })
}
