package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// campaign is a number of runs, several at a time.
type campaign struct {
	cluster  *cluster
	programs programs
	folder   string
	seeds    uint64
	workers  int
	// catalogue are the points that are known.
	catalogue []string
	// only are the targets to come to, nil for all.
	only map[string]bool

	mu       sync.Mutex
	verdicts []*verdict
}

// perform makes the runs of the plans.
func (c *campaign) perform(ctx context.Context, plans []plan) {
	next := make(chan plan)
	var workers sync.WaitGroup
	for range c.workers {
		workers.Go(func() {
			for pl := range next {
				c.note(perform(ctx, c.cluster, c.programs, pl, filepath.Join(c.folder, folderOf(pl.seed))))
			}
		})
	}
	for _, pl := range plans {
		select {
		case next <- pl:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
}

// note keeps a verdict and tells it. The logs of a good run are not kept.
func (c *campaign) note(v *verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdicts = append(c.verdicts, v)
	word := "ok"
	if !v.good() {
		word = "FAILED, see " + filepath.Join(c.folder, folderOf(v.plan.seed))
	}
	fmt.Printf("seed %3d  %-75s %2d hit  %5d requests  %5.1f s  %s\n", v.plan.seed, v.plan, len(v.hit), v.requests, v.took.Seconds(), word)
	if v.problem != nil {
		fmt.Println("  ", v.problem)
	}
	if v.good() {
		_ = os.RemoveAll(filepath.Join(c.folder, folderOf(v.plan.seed)))
	}
}

var modes = []v1alpha1.CutoverMode{v1alpha1.CutoverFlipThenFence, v1alpha1.CutoverStrict}

// sweeps are plans for what the seeds did not come to. What both modes can come to is
// tried in one of them, and in the other one in the next round.
func (c *campaign) sweeps(round uint64) []plan {
	var plans []plan
	begin := seedsOnly + 1 + 100*round
	for i, mode := range modes {
		for rest := c.missed(mode, i == int(round%2)); len(rest) > 0; {
			var bearable []killpoint.Target
			bearable, rest = bear(rest)
			plans = append(plans, sweepOf(begin+uint64(len(plans)), round, mode, bearable))
		}
	}
	return plans
}

// missed are the targets of a mode at which no program ended, of those that both modes
// have only if asked for.
func (c *campaign) missed(mode v1alpha1.CutoverMode, both bool) []killpoint.Target {
	done := map[killpoint.Target]bool{}
	for _, v := range c.verdicts {
		for _, target := range v.hit {
			target.Pass = 0
			done[target] = true
		}
	}
	var missed []killpoint.Target
	for _, target := range targetsOf(c.catalogue, mode) {
		ofBoth := slices.Contains(c.catalogue, target.Point)
		if !done[target] && (both || !ofBoth) && (c.only == nil || c.only[target.String()]) {
			missed = append(missed, target)
		}
	}
	return missed
}

// unlisted are points that were met and are not in the catalogue.
func (c *campaign) unlisted() []string {
	listed := map[string]bool{}
	for _, line := range c.catalogue {
		point, _ := cutMode(line)
		listed[point] = true
	}
	missing := map[string]bool{}
	for _, v := range c.verdicts {
		for _, point := range v.met {
			if !listed[point] && !strings.HasPrefix(point, passerby{}.Program()) {
				missing[point] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// catalogued are all points that are known or were met, with the mode of those
// that only one of them meets.
func (c *campaign) catalogued() []string {
	modes := map[string]map[v1alpha1.CutoverMode]bool{}
	note := func(point string, mode v1alpha1.CutoverMode) {
		if modes[point] == nil {
			modes[point] = map[v1alpha1.CutoverMode]bool{}
		}
		modes[point][mode] = true
	}
	for _, line := range c.catalogue {
		switch point, only := cutMode(line); only {
		case "":
			note(point, v1alpha1.CutoverStrict)
			note(point, v1alpha1.CutoverFlipThenFence)
		default:
			note(point, only)
		}
	}
	for _, v := range c.verdicts {
		for _, point := range v.met {
			if !strings.HasPrefix(point, passerby{}.Program()) {
				note(point, v.plan.mode)
			}
		}
	}
	var lines []string
	for point, in := range modes {
		if len(in) == 1 {
			for mode := range in {
				point = string(mode) + " " + point
			}
		}
		lines = append(lines, point)
	}
	slices.Sort(lines)
	return lines
}
