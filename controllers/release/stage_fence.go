package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// fenceStage closes the pen of every version that is no longer live: its pods
// that ever received traffic are replaced, its right to append is taken, and
// none of its transactions is left in the log. It is proven by who can append,
// not by what was revoked. It owns Fenced.
type fenceStage struct{ *Reconciler }

func (fenceStage) condition() string { return v1alpha1.ConditionFenced }

func (st fenceStage) reconcile(ctx context.Context, s *scope) (outcome, error) {
	if s.target.Passed(v1alpha1.ConditionFenced) {
		if !s.canAppendBeside(s.target) {
			return st.proven(s), nil
		}
		// Somebody gave a right back, and may have begun to append.
		if err := st.reopen(ctx, s, s.target); err != nil {
			return outcome{}, err
		}
	}
	if err := s.ledger.StartStage(ctx, s.target, v1alpha1.ConditionFenced); err != nil {
		return outcome{}, err
	}
	for _, v := range s.versions {
		if v == s.target {
			continue
		}
		if result, err := st.fence(ctx, s, v); err != nil || !result.passed {
			return result, err
		}
	}
	if result, err := st.fenceFormer(ctx, s); err != nil || !result.passed {
		return result, err
	}
	result := st.proven(s)
	if !result.passed {
		return result, nil
	}
	// Whatever the other versions have written is at or below this position.
	watermark, err := s.log.Head(ctx, s.sourcePool)
	if err != nil {
		return outcome{}, s.onSource(err)
	}
	evidence := map[string]int64{"versions": int64(len(s.versions) - 1), "watermark": watermark}
	if err := s.ledger.PassStage(ctx, s.target, v1alpha1.ConditionFenced, evidence); err != nil {
		return outcome{}, err
	}
	return result, s.reload(ctx)
}

// fenceFormer takes the right of those who appended before there was a release.
// Their pods are nobody's here, so that they are not waited for.
func (st fenceStage) fenceFormer(ctx context.Context, s *scope) (outcome, error) {
	former := s.formerWriters()
	for _, role := range former {
		err := s.ledger.ChangeRights(ctx, func(tx pgx.Tx) error { return s.log.ForbidAppending(ctx, tx, role) })
		if err != nil {
			return outcome{}, s.onSource(err)
		}
	}
	for _, role := range s.release.Spec.Source.FormerRoles {
		holders, err := s.log.HoldersOf(ctx, s.sourcePool, role)
		if err != nil {
			return outcome{}, s.onSource(err)
		}
		if len(holders) > 0 {
			return waiting(v1alpha1.ReasonDraining, fmt.Sprintf("%s has appended to the log and not finished", oldestOf(holders)), pollFast), nil
		}
	}
	if len(former) == 0 {
		return passed(""), nil
	}
	if err := s.gatherWriters(ctx); err != nil {
		return outcome{}, s.onSource(err)
	}
	return passed(""), nil
}

// formerWriters are those from before there was a release who can append still.
func (s *scope) formerWriters() []string {
	var roles []string
	for _, writer := range s.writers.Granted {
		if slices.Contains(s.release.Spec.Source.FormerRoles, writer.Role) {
			roles = append(roles, writer.Role)
		}
	}
	return roles
}

func (fenceStage) reopen(ctx context.Context, s *scope, live *ledger.Version) error {
	if err := s.ledger.ReopenStage(ctx, live, v1alpha1.ConditionFenced); err != nil {
		return err
	}
	return s.reload(ctx)
}

// proven says who can append besides the version: nobody but the log's owner
// and superusers, whom no REVOKE stops.
func (fenceStage) proven(s *scope) outcome {
	if others := s.strangers(); len(others) > 0 {
		return blocked(v1alpha1.ReasonOthersCanAppend, fmt.Sprintf("besides version %s these can append to the log: %s; revoke it as the one who granted it (REVOKE INSERT ON … FROM …)",
			s.target.Version, strings.Join(others, ", ")), pollSlow)
	}
	return passed(fmt.Sprintf("no other version can append to the log, nor anybody else but its owner (%s) and superusers (%s)",
		strings.Join(s.writers.Owners, ", "), strings.Join(s.writers.Superusers, ", ")))
}

// strangers are the roles that can append and should not. The operator's accounts
// are members of the versions' roles.
func (s *scope) strangers() []string {
	return strangers(s.writers, slices.Concat(appRoles(s.versions), s.operators()), s.tolerated())
}

// tolerated are the roles of other releases, which append to the log as well, and
// whose members are those releases' business. What projects its own writes alone
// tolerates none: theirs would never be in its database.
func (s *scope) tolerated() []string {
	if s.projectsItself() {
		return nil
	}
	return s.neighbours
}

func (s *scope) projectsItself() bool {
	live := s.live()
	return live != nil && bySelf(live)
}

func strangers(writers eventlog.Writers, known, neighbours []string) []string {
	var others []string
	for _, writer := range writers.Granted {
		writer.Through = slices.DeleteFunc(slices.Clone(writer.Through), func(g eventlog.Grant) bool { return slices.Contains(neighbours, g.Grantee) })
		if len(writer.Through) > 0 && !slices.Contains(known, writer.Role) && !slices.Contains(neighbours, writer.Role) {
			others = append(others, writer.String())
		}
	}
	return others
}

// canAppendBeside tells whether another version than the live one can append.
func (s *scope) canAppendBeside(live *ledger.Version) bool {
	for _, v := range s.versions {
		if v != live && s.canAppend(v) {
			return true
		}
	}
	return false
}

// fence takes a version's right to append, after its pods drained.
func (st fenceStage) fence(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	if s.canAppend(v) {
		if left := s.holdsFence(v); left != "" {
			return waiting(v1alpha1.ReasonDraining, fmt.Sprintf("waiting until the pods of version %s that received traffic are gone (%s)", v.Version, left), pollFast), nil
		}
		if err := s.forbidAppending(ctx, v); err != nil {
			return outcome{}, err
		}
		still, err := s.log.Appenders(ctx, s.sourcePool, []string{v.AppRole})
		if err != nil {
			return outcome{}, s.onSource(err)
		}
		if len(still) > 0 {
			return blocked(v1alpha1.ReasonOthersCanAppend, (&stillAppends{roles: s.named(still)}).Error(), pollSlow), nil
		}
	}
	return st.settle(ctx, s, v)
}

// settle waits for the transactions that appended before the right was taken,
// and ends those that last longer than drainTimeout.
func (st fenceStage) settle(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	holders, err := s.log.HoldersOf(ctx, s.sourcePool, v.AppRole)
	if err != nil {
		return outcome{}, s.onSource(err)
	}
	if len(holders) == 0 {
		return passed(""), nil
	}
	oldest := oldestOf(holders)
	if oldest.Prepared {
		return blocked(v1alpha1.ReasonLogWriterStalled, fmt.Sprintf(
			"a transaction of version %s is prepared and not finished; find it in pg_prepared_xacts of the source and run COMMIT PREPARED or ROLLBACK PREPARED", v.Version), pollProgress), nil
	}
	if timeout := s.release.Spec.Cutover.DrainTimeout; timeout != nil && oldest.Age() > timeout.Duration {
		err := s.ledger.Guard(ctx, func(tx pgx.Tx) error {
			_, err := versiondb.EndSessions(ctx, tx, v.AppRole)
			return err
		})
		if err != nil {
			return outcome{}, s.onSource(err)
		}
		st.event(s, eventWarning, "StragglersEnded", fmt.Sprintf("ended %d sessions of version %s that kept the log open", len(holders), v.Version))
	}
	return waiting(v1alpha1.ReasonDraining, fmt.Sprintf("session %d of version %s has appended to the log and not finished for %s", oldest.PID, v.Version, oldest.Age().Round(time.Second)), pollFast), nil
}

// named says where roles have their right to append from, as far as it was
// known at the beginning of the pass.
func (s *scope) named(roles []string) []string {
	var told []string
	for _, role := range roles {
		text := "role " + role
		for _, writer := range s.writers.Granted {
			if writer.Role == role || writer.Role == eventlog.Public {
				text = "role " + role + ", " + writer.String()
			}
		}
		told = append(told, text)
	}
	return told
}

func oldestOf(holders []eventlog.Holder) eventlog.Holder {
	oldest := holders[0]
	for _, holder := range holders[1:] {
		if holder.Age() > oldest.Age() {
			oldest = holder
		}
	}
	return oldest
}
