package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

// summary is bin/chaos/summary.json, for programs that judge the campaign.
type summary struct {
	Runs  int `json:"runs"`
	Seeds int `json:"seeds"`
	// KillPoints are all that are known, KillPointsHit those at which a program
	// ended, and Unlisted those that nobody knew of.
	KillPoints    []string `json:"killPoints"`
	KillPointsHit []string `json:"killPointsHit"`
	// Missed are those at which none ended before, or after, their effect.
	Missed   []string      `json:"missed"`
	Unlisted []string      `json:"unlisted"`
	Kills    int           `json:"kills"`
	Stale    int           `json:"staleWrites"`
	Faults   map[fault]int `json:"faults"`

	Requests       int64 `json:"requests"`
	FailedRequests int64 `json:"failedRequests"`
	Acknowledged   int64 `json:"acknowledged"`
	Lost           int64 `json:"lost"`
	Duplicated     int64 `json:"duplicated"`
	Reordered      int64 `json:"reordered"`
	Wrong          int64 `json:"wrong"`
	StaleReads     int64 `json:"staleReads"`
	TwoLive        int64 `json:"twoLive"`
	TwoWorkers     int64 `json:"twoWorkers"`
	Stuck          int   `json:"stuck"`
	Broken         int   `json:"broken"`
	// Failures are the seeds of runs that were not good.
	Failures []uint64 `json:"failures"`
	// SlowestSeconds is the longest run.
	SlowestSeconds float64 `json:"slowestSeconds"`
}

func (c *campaign) summarize() *summary {
	s := &summary{Faults: map[fault]int{}, KillPoints: []string{}, KillPointsHit: []string{}, Missed: []string{}, Unlisted: append([]string{}, c.unlisted()...), Failures: []uint64{}}
	points, hit := map[string]bool{}, map[string]bool{}
	for _, line := range c.catalogue {
		point, _ := cutMode(line)
		points[point] = true
	}
	for _, v := range c.verdicts {
		s.add(v, hit)
	}
	s.KillPoints = slices.Sorted(maps.Keys(points))
	for _, point := range s.KillPoints {
		if hit[point] {
			s.KillPointsHit = append(s.KillPointsHit, point)
		}
	}
	for i, mode := range modes {
		for _, target := range c.missed(mode, i == 0) {
			s.Missed = append(s.Missed, target.String())
		}
	}
	slices.Sort(s.Missed)
	slices.Sort(s.Failures)
	return s
}

func (s *summary) add(v *verdict, hit map[string]bool) {
	s.Runs++
	if v.plan.seed <= seedsOnly {
		s.Seeds++
	}
	for _, target := range v.hit {
		if target.Moment != killpoint.Late {
			hit[target.Point] = true
			s.Kills++
		}
	}
	s.Stale += v.late
	for fault, times := range v.faults {
		s.Faults[fault] += times
	}
	s.Requests, s.FailedRequests, s.Acknowledged = s.Requests+v.requests, s.FailedRequests+v.failed, s.Acknowledged+v.acknowledged
	s.Lost, s.Duplicated, s.Reordered = s.Lost+v.lost, s.Duplicated+v.duplicated, s.Reordered+v.reordered
	s.Wrong, s.StaleReads = s.Wrong+v.wrong, s.StaleReads+v.stale
	s.TwoLive, s.TwoWorkers = s.TwoLive+v.twoLive, s.TwoWorkers+v.twoWorkers
	switch {
	case v.isStuck():
		s.Stuck++
	case v.problem != nil:
		s.Broken++
	}
	if !v.good() {
		s.Failures = append(s.Failures, v.plan.seed)
	}
	s.SlowestSeconds = max(s.SlowestSeconds, v.took.Seconds())
}

// good tells whether nothing was found and every point was hit at each moment.
func (s *summary) good() bool {
	return len(s.Failures) == 0 && len(s.Missed) == 0 && len(s.Unlisted) == 0
}

// missedBefore are the targets that the last campaign did not come to.
func missedBefore(folder string) (map[string]bool, error) {
	content, err := os.ReadFile(filepath.Join(folder, "summary.json"))
	if err != nil {
		return nil, fmt.Errorf("read what the last run did not come to (make chaos makes one): %w", err)
	}
	var last summary
	if err := json.Unmarshal(content, &last); err != nil {
		return nil, fmt.Errorf("read what the last run did not come to: %w", err)
	}
	missed := map[string]bool{}
	for _, target := range last.Missed {
		missed[target] = true
	}
	for _, point := range last.Unlisted { // which are listed by now
		missed[killpoint.Target{Point: point, Moment: killpoint.Before}.String()] = true
		missed[killpoint.Target{Point: point, Moment: killpoint.After}.String()] = true
	}
	return missed, nil
}

func (s *summary) write(folder string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "summary.json"), append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// print tells people. What a campaign did not come to is of no interest after
// one run of it.
func (s *summary) print(whole bool) {
	fmt.Printf(`
%d runs, %d kills at %d of %d points, %d writes of stale operators, %v
%d requests, %d failed; %d acknowledged writes
lost %d, duplicated %d, reordered %d, wrong %d, own writes not seen %d, two live %d, two workers %d, stuck %d, broken %d
`, s.Runs, s.Kills, len(s.KillPointsHit), len(s.KillPoints), s.Stale, s.Faults, s.Requests, s.FailedRequests, s.Acknowledged,
		s.Lost, s.Duplicated, s.Reordered, s.Wrong, s.StaleReads, s.TwoLive, s.TwoWorkers, s.Stuck, s.Broken)
	for _, target := range s.Missed {
		if whole {
			fmt.Println("  not hit:", target)
		}
	}
	for _, point := range s.Unlisted {
		fmt.Println("  not in points.txt:", point)
	}
}
