package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
	"github.com/nawhas/nawhas-operator/test/chaos/pgproxy"
)

// The versions that are released. The third one has the second's edition.
const (
	first  = "3.1.2"
	second = "3.2.0"
	third  = "3.2.1"
)

// step is one change of spec.version.
type step struct {
	version string
	// settle waits until the version is live; otherwise the next step comes after
	// pause, wherever the release is.
	settle bool
	pause  time.Duration
	fault  fault
	// at is when, after the change, the fault comes.
	at time.Duration
	// then is what happens once the version is live: its pods are sick, so that the
	// operator goes back by itself, or another version gets a right back.
	then fault
}

// plan is what happens in one run. A seed has one plan.
type plan struct {
	seed  uint64
	mode  v1alpha1.CutoverMode
	steps []step
	// targets are where programs end, and later those that are none before clients
	// write.
	targets, later []killpoint.Target
	// window and pods are for how long previous versions stay warm and keep pods.
	window, pods, observe time.Duration
	versions, warm        int32
	policy                v1alpha1.DeletionPolicy
}

// planOf makes the plan of one of a number of seeds, which share the points among
// them.
func planOf(seed, seeds uint64, catalogue []string) plan {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a schedule that can be repeated
	p := plan{seed: seed, mode: modeOf(seed), observe: time.Second}
	p.window = pick(random, 2*time.Second, time.Hour)
	p.pods = pick(random, time.Second, time.Hour)
	p.versions, p.warm = pick[int32](random, 1, 2), pick[int32](random, 1, 2)
	p.policy = pick(random, v1alpha1.DeletionRetain, v1alpha1.DeletionDelete)
	p.steps = stepsOf(random)
	if slices.ContainsFunc(p.steps, func(s step) bool { return s.then == sickPods }) {
		p.observe = time.Minute
	}
	p.targets = share(seed, seeds, catalogue)
	for i := range p.targets {
		p.targets[i].Pass = random.IntN(3)
	}
	if random.IntN(3) == 0 {
		p.targets = append(p.targets, staleTarget(random, catalogue)...)
	}
	return p
}

// replayBegun is the commit of a part of a replay. A program that ends there, before
// others do, lets the next one go on from where it was, while clients change what it
// has: only then are rows changed in a replay.
const replayBegun = "replay: commit of WITH moved AS ( UPDATE checkpoint SET position = $…::bigint, stage = $…::text, target = $…::bigint, …"

// sweepOf makes a plan for targets that were missed: everything happens in it,
// nothing else disturbs it, and the first chance is taken. In every second round a
// candidate makes way for another one before it is live.
func sweepOf(seed, round uint64, mode v1alpha1.CutoverMode, targets []killpoint.Target) plan {
	for i := range targets {
		targets[i].Pass = 0
	}
	var later []killpoint.Target
	if slices.ContainsFunc(targets, func(t killpoint.Target) bool { return strings.HasPrefix(t.Point, "replay: ") }) {
		later = append(later, killpoint.Target{Point: replayBegun, Moment: killpoint.After})
	}
	steps := []step{{version: first, settle: true}}
	if round%2 == 1 {
		steps = append(steps, step{version: third, fault: writersInTurn, pause: 8 * time.Second})
	}
	steps = append(steps,
		step{version: second, settle: true, fault: writersInTurn, then: strayRight},
		step{version: first, settle: true, fault: newPasswords, at: time.Second},
		step{version: second, settle: true, fault: straggler}, step{version: first, settle: true, fault: secondOperator},
		step{version: second, settle: true, fault: hangingWriter, at: 500 * time.Millisecond},
		step{version: first, settle: true, fault: restoredLedger, at: time.Second},
		step{version: third, settle: true, then: sickPods})
	return plan{seed: seed, mode: mode, targets: targets, later: later, window: 2 * time.Second, pods: time.Second, observe: time.Minute, versions: 1, warm: 1,
		policy: v1alpha1.DeletionDelete, steps: steps}
}

func modeOf(seed uint64) v1alpha1.CutoverMode {
	if seed%2 == 0 {
		return v1alpha1.CutoverStrict
	}
	return v1alpha1.CutoverFlipThenFence
}

// stepsOf goes from the first version through two to four changes, forward, back
// and on, some of them before the one before has come to its end.
func stepsOf(random *rand.Rand) []step {
	steps := []step{{version: first, settle: true}}
	current := first
	for n := 2 + random.IntN(3); n > 0; n-- {
		next := pick(random, slices.DeleteFunc([]string{first, second, third}, func(v string) bool { return v == current })...)
		s := step{version: next, settle: random.IntN(3) > 0, pause: time.Duration(random.IntN(3000)) * time.Millisecond}
		if random.IntN(2) == 0 {
			s.fault, s.at = pick(random, faults...), time.Duration(random.IntN(2000))*time.Millisecond
		}
		if s.settle && s.fault == noFault && random.IntN(4) == 0 {
			s.then = pick(random, sickPods, strayRight)
		}
		steps = append(steps, s)
		current = next
	}
	return steps
}

// share is a seed's part of all targets that its mode can come to, as far as one
// run can bear it.
func share(seed, seeds uint64, catalogue []string) []killpoint.Target {
	all := targetsOf(catalogue, modeOf(seed))
	among := (seeds + seed%2) / 2
	if len(all) == 0 || among == 0 {
		return nil
	}
	each := (uint64(len(all)) + among - 1) / among
	begin := (seed - 1) / 2 % among * each
	end := min(begin+each, uint64(len(all)))
	if begin >= end {
		return nil
	}
	bearable, _ := bear(all[begin:end])
	return bearable
}

// How many programs end in one run at most, and how many of them are a Job's:
// Kubernetes lets a Job wait longer each time before it starts another pod.
const (
	mostKills    = 12
	mostJobKills = 3
)

// bear splits targets into those for one run and the rest.
func bear(targets []killpoint.Target) (bearable, rest []killpoint.Target) {
	jobs := 0
	for _, target := range targets {
		ofJob := !strings.HasPrefix(target.Point, "operator: ") && !strings.HasPrefix(target.Point, "follower: ")
		if len(bearable) == mostKills || ofJob && jobs == mostJobKills {
			rest = append(rest, target)
			continue
		}
		if ofJob {
			jobs++
		}
		bearable = append(bearable, target)
	}
	return bearable, rest
}

// targetsOf are the points of a catalogue with the moments that make a
// difference there.
func targetsOf(catalogue []string, mode v1alpha1.CutoverMode) []killpoint.Target {
	var all []killpoint.Target
	for _, line := range catalogue {
		point, only := cutMode(line)
		if only != "" && only != mode {
			continue
		}
		all = append(all, killpoint.Target{Point: point, Moment: killpoint.Before})
		if !strings.HasSuffix(point, pgproxy.InTransaction) {
			all = append(all, killpoint.Target{Point: point, Moment: killpoint.After})
		}
	}
	// Spread over the seeds, so that none has a whole stage.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // the same for all seeds
	return all
}

// staleTarget is a side effect of the operator that comes late, when a second
// one is at work.
func staleTarget(random *rand.Rand, catalogue []string) []killpoint.Target {
	var own []string
	for _, line := range catalogue {
		point, _ := cutMode(line)
		if effect, ok := strings.CutPrefix(point, "operator: "); ok && !strings.HasPrefix(effect, "create events") && !strings.HasPrefix(effect, "patch events") {
			own = append(own, point)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return []killpoint.Target{{Point: pick(random, own...), Moment: killpoint.Late, Pass: random.IntN(3)}}
}

// cutMode splits a line of the catalogue into the point and the mode in which
// alone it is met, empty for both.
func cutMode(line string) (point string, only v1alpha1.CutoverMode) {
	for _, mode := range []v1alpha1.CutoverMode{v1alpha1.CutoverStrict, v1alpha1.CutoverFlipThenFence} {
		if point, ok := strings.CutPrefix(line, string(mode)+" "); ok {
			return point, mode
		}
	}
	return line, ""
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// String tells what happens.
func (p plan) String() string {
	var way []string
	for _, s := range p.steps {
		text := s.version
		if s.fault != noFault {
			text += "+" + string(s.fault)
		}
		if s.then != noFault {
			text += "+" + string(s.then)
		}
		way = append(way, text)
	}
	return fmt.Sprintf("%s %s, %d kills", p.mode, strings.Join(way, " → "), len(p.targets))
}
