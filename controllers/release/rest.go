package release

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	// lagPause is the least time between two looks at a release for a lag that
	// only grows or shrinks.
	lagPause = time.Minute
)

// seen is what the last pass over a release at rest saw of what can change
// without a word from the API server. Whatever a pass decides, it reads anew;
// this only tells when there may be something to decide.
type seen struct {
	// versions are what the ledger said, lag what the status says since.
	versions string
	lag      map[string]int64
	maxLag   int64
	// rights are who could append, as far as the release is concerned.
	rights    string
	own       []string
	operators []string
	// alone says that other releases may not append besides it.
	alone bool
	// databases are those that existed.
	databases []string
	lagTold   time.Time
}

// resting are the releases at rest. It is safe for concurrent use.
type resting struct {
	mu       sync.Mutex
	releases map[types.NamespacedName]seen
	// refused are the releases that wait for a server to answer.
	refused map[types.NamespacedName]bool
}

func newResting() *resting {
	return &resting{releases: map[types.NamespacedName]seen{}, refused: map[types.NamespacedName]bool{}}
}

// lay notes that a release rests.
func (r *resting) lay(name types.NamespacedName, last seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.releases[name] = last
}

// refuse notes that a release waits for a server to answer.
func (r *resting) refuse(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[name] = true
}

// rouse notes that a release rests no more: a pass over it begins.
func (r *resting) rouse(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.releases, name)
	delete(r.refused, name)
}

func (r *resting) get(name types.NamespacedName) (seen, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.releases[name]
	return last, ok
}

func (r *resting) waits(name types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[name]
}

// rests reports whether a pass left nothing to do that only looking at the
// databases again could show. A version that is being removed, or one that could
// still append besides the live one or has not finished, is something to do.
func (s *scope) rests(way outcome) bool {
	if !way.rests && (!way.passed || way.again > 0) || s.outdated || s.draining {
		return false
	}
	live := s.live()
	for _, v := range s.versions {
		if v.Role == ledger.Retiring || v != live && s.canAppend(v) || s.warming(v) {
			return false
		}
	}
	return true
}

// lastSeen is what a release at rest is compared with from now on.
func (s *scope) lastSeen() seen {
	last := seen{versions: fingerprint(glances(s.versions)), lag: map[string]int64{}, maxLag: ptr.Deref(s.release.Spec.Cutover.MaxLag, 0),
		own: appRoles(s.versions), operators: s.operators(), alone: s.projectsItself(), lagTold: s.now}
	last.rights = rightsOf(s.writers, last.own, s.tolerated(), last.operators)
	for _, v := range s.versions {
		if followed(v) {
			last.lag[v.Version] = s.behind(v)
		}
		if s.existing[v.Database] {
			last.databases = append(last.databases, v.Database)
		}
	}
	return last
}

// nextChange is when time alone changes something: a version stops being kept,
// or its pods, or a Job that is finished. It is no later than the recheck.
func (s *scope) nextChange(recheck time.Duration) time.Duration {
	keep := keepingOf(&s.release.Spec)
	wait := spread(s.key(), recheck)
	for _, v := range s.versions {
		if v.Role != ledger.Warm || v.WarmSince == nil {
			continue
		}
		kinds := []time.Duration{keep.window, keep.pods}
		if maxAge := s.release.Spec.Retention.MaxAge; maxAge != nil {
			kinds = append(kinds, maxAge.Duration)
		}
		for _, kept := range kinds {
			if left := v.WarmSince.Add(kept).Sub(s.now); left > -time.Second {
				wait = min(wait, left+time.Second)
			}
		}
	}
	if jobs := s.release.Spec.Retention.KeepJobsFor; jobs != nil && !s.release.Spec.Suspend {
		for i := range s.jobs {
			if end := endOf(&s.jobs[i]); !end.IsZero() && end.Add(jobs.Duration).After(s.now) {
				wait = min(wait, end.Add(jobs.Duration).Sub(s.now)+time.Second)
			}
		}
	}
	return wait
}

// spread takes up to a tenth off a duration, so that releases do not come at once.
func spread(key string, d time.Duration) time.Duration {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(key))
	return d - d/10*time.Duration(sum.Sum32()%1000)/1000
}

func glances(versions []*ledger.Version) []ledger.Glance {
	all := make([]ledger.Glance, 0, len(versions))
	for _, v := range versions {
		all = append(all, ledger.Glance{Version: v.Version, AppRole: v.AppRole, Role: v.Role, Stage: v.Checkpoint.Stage, Position: v.Checkpoint.Position, Problem: v.Checkpoint.Problem, AuditFailed: unsound(v) != nil})
	}
	return all
}

// fingerprint changes when anything changes in the ledger that a decision could
// hang on, but for the positions.
func fingerprint(versions []ledger.Glance) string {
	lines := make([]string, 0, len(versions))
	for _, g := range versions {
		problem := ""
		if g.Problem != nil {
			problem = fmt.Sprintf("%+v", *g.Problem)
		}
		lines = append(lines, strings.Join([]string{g.Version, string(g.Role), g.Stage, problem, strconv.FormatBool(g.AuditFailed)}, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// rightsOf is who can append, but for the roles of other releases that may.
func rightsOf(w eventlog.Writers, own, neighbours, operators []string) string {
	var text strings.Builder
	for _, writer := range append(ofVersions(w, own), strangers(w, slices.Concat(own, operators), neighbours)...) {
		fmt.Fprintln(&text, writer)
	}
	fmt.Fprintln(&text, w.Owners, w.Superusers)
	return text.String()
}

func ofVersions(w eventlog.Writers, roles []string) []string {
	var own []string
	for _, writer := range w.Granted {
		if slices.Contains(roles, writer.Role) {
			own = append(own, writer.String())
		}
	}
	return own
}

// worthALook reports whether the lag of a version matters that much more, or
// less, that the status should say so: at once when it crosses what the release
// allows, and otherwise now and then.
func worthALook(told, lag, maxLag int64, sinceTold time.Duration) bool {
	if (told > maxLag) != (lag > maxLag) {
		return true
	}
	return magnitude(told) != magnitude(lag) && sinceTold >= lagPause
}

// magnitude is the number of binary digits: it changes when a lag doubles, halves
// or comes to nothing.
func magnitude(lag int64) int { return bits.Len64(uint64(max(0, lag))) }
