package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// What rounds are to decide, without asking anybody.

// warmPause is the least time between the ends of rounds that only keep a
// database current.
const warmPause = 30 * time.Second

// inRounds reports whether a version's database is built in rounds, and its
// application projects its own events while it is live.
func (p *plan) inRounds() bool {
	return p != nil && p.Replay.Strategy == v1alpha1.ReplayRounds
}

// bySelf reports whether a version is live and its own application keeps its
// database current, so that there is no lag to tell.
func bySelf(v *ledger.Version) bool {
	return v.Role == ledger.Live && v.Checkpoint.Stage == ledger.StageSelf
}

// nearEnough reports whether so little of the log is left that the rest can be
// applied while writers wait for at most limit: no more than maxLag events, or no
// more than what the last round applied in half of that. A database that nothing
// was applied to is near an empty log only.
func nearEnough(v *ledger.Version, head, maxLag int64, limit time.Duration) bool {
	left := max(0, head-v.Checkpoint.Position)
	last := v.LastRound()
	switch {
	case left == 0:
		return true
	case last == nil && v.Checkpoint.ReportedAt == nil:
		return false
	case left <= maxLag:
		return true
	}
	return last != nil && last.FinishedAt != nil && last.Took() <= limit/2 && left <= last.Until-last.From
}

// stagnant says that rounds do not shrink any more although they should, "" while
// they do.
func stagnant(rounds []ledger.Round, limit time.Duration) string {
	if len(rounds) < 2 {
		return ""
	}
	last, before := rounds[0], rounds[1]
	if last.FinishedAt == nil || last.Number < 3 || last.Took() <= limit/2 || last.Until-last.From < before.Until-before.From {
		return ""
	}
	return fmt.Sprintf("rounds do not shrink: round %d took %s for %d positions of the log, and the one before it had %d; the replay is too slow for what is appended meanwhile. "+
		"Raise cutover.strictTimeout (it is %s, and a round must take half of it at most), or give the replay more resources",
		last.Number, last.Took().Round(100*time.Millisecond), last.Until-last.From, before.Until-before.From, limit)
}

// judgeRound says what is wrong with a round whose command ended with 0, "" if
// nothing is: what it did to the tables, and whether it read the log at all.
func judgeRound(round ledger.Round, events int64, read bool, after map[string]ledger.RoundTable) string {
	if events == 0 {
		return ""
	}
	if !read {
		return "the command ended with 0 and never read its log: its connection must be made of NAWHAS_SOURCE_HOST, _PORT, _NAME, _USER and _PASSWORD, and no DATABASE_URL may override it"
	}
	var emptied []string
	filled := round.From > 0
	for name, table := range after {
		before, known := round.Tables[name]
		if round.From > 0 && known && before.Filled && before.File != table.File {
			emptied = append(emptied, name)
		}
		filled = filled || table.Filled && !before.Filled
	}
	slices.Sort(emptied)
	switch {
	case len(emptied) > 0:
		return fmt.Sprintf("the command emptied %s although it was to go on from position %d: it must begin at $(NAWHAS_REPLAY_FROM), as in --from=$(NAWHAS_REPLAY_FROM)",
			strings.Join(emptied, ", "), round.From+1)
	case !filled:
		return fmt.Sprintf("the command ended with 0 and did nothing: %d events were there to replay, and no table that was empty has a row now", events)
	}
	return ""
}

// rebuildAfter is how long a candidate whose round failed waits before it is
// built anew: 30 s at first, then twice as long each time.
func rebuildAfter(failures int) time.Duration {
	delay := firstRetry
	for range failures - 1 {
		delay = min(2*delay, lastRetry)
	}
	return delay
}

// strictLimit is how long a switch may keep writers waiting.
func (s *scope) strictLimit() time.Duration {
	return ptr.Deref(s.release.Spec.Cutover.StrictTimeout, defaultStrictTimeout).Duration
}

// near reports whether the last round can be made while writers wait.
func (s *scope) near(v *ledger.Version) bool {
	return nearEnough(v, s.head, ptr.Deref(s.release.Spec.Cutover.MaxLag, 0), s.strictLimit())
}

// strict reports whether the switch to the target is made while nobody can
// append. An application that projects its own events must have appended its
// last one by then.
func (s *scope) strict() bool {
	live := s.live()
	return s.release.Spec.Cutover.Mode == v1alpha1.CutoverStrict || s.plans[s.target.Version].inRounds() || live != nil && live.Checkpoint.Stage == ledger.StageSelf
}
