package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/hack/load"
)

// summary is bin/demo/summary.json, for programs that judge the demo.
type summary struct {
	Live       string             `json:"live"`
	Events     int64              `json:"events"`
	Lost       int64              `json:"lost"`
	Duplicated int64              `json:"duplicated"`
	Reordered  int64              `json:"reordered"`
	Wrong      int64              `json:"wrong"`
	Behind     int64              `json:"behind"`
	Reciters   int64              `json:"reciters"`
	Albums     int64              `json:"albums"`
	Stages     map[string]float64 `json:"stages"`

	// What clients noticed of the switches.
	Acknowledged   int64 `json:"acknowledged"`
	FailedRequests int64 `json:"failedRequests"`
	StaleReads     int64 `json:"staleReads"`
	// SwitchMillis is from the first answer of the new version to the last one of
	// the old, the longest of all switches; RollbackMillis from asking for the
	// way back to the last answer of the version that was left.
	SwitchMillis   int64 `json:"switchMillis"`
	RollbackMillis int64 `json:"rollbackMillis"`

	requests int64
	failures []string
}

func newSummary() *summary { return &summary{Stages: map[string]float64{}} }

// time runs a step and notes how long it took.
func (s *summary) time(name string, step func() error) error {
	started := time.Now()
	if err := step(); err != nil {
		return err
	}
	s.Stages[name] = seconds(time.Since(started))
	fmt.Printf("%s: %.1f s\n", name, s.Stages[name])
	return nil
}

func (s *summary) add(f audit.Findings) {
	s.Events, s.Behind = f.Events, f.Behind
	s.Lost, s.Duplicated, s.Reordered, s.Wrong = s.Lost+f.Lost, s.Duplicated+f.Duplicated, s.Reordered+f.Reordered, s.Wrong+f.Wrong
	s.Reciters, s.Albums = f.Reciters, f.Albums
}

// noticed adds what the clients noticed of the changes.
func (s *summary) noticed(changes []change, r load.Result) {
	s.requests, s.FailedRequests, s.StaleReads, s.failures = r.Requests, r.Failed, r.Stale, r.Failures
	for i, made := range changes {
		until := time.Now()
		if i+1 < len(changes) {
			until = changes[i+1].asked
		}
		overlap, total := r.Overlap(made.asked, until, made.from, made.to)
		s.SwitchMillis = max(s.SwitchMillis, overlap.Milliseconds())
		if made.to == first {
			s.RollbackMillis = total.Milliseconds()
		}
		fmt.Printf("%s → %s: both answered for %d ms; %d ms from asking to the last answer of %s\n",
			made.from, made.to, overlap.Milliseconds(), total.Milliseconds(), made.from)
	}
}

func (s *summary) write(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

func (s *summary) print(c *cluster.Cluster) {
	fmt.Printf(`
%s is live: %d events in, %d reciters and %d albums out
lost %d, duplicated %d, reordered %d, wrong %d, behind %d   (bin/demo/summary.json)
under load: %d requests, %d failed; %d writes acknowledged, %d own writes not seen

Look around:
  hack/cluster.sh run %s get nr -A
  hack/cluster.sh run %[14]s -n %s describe nr %s
`, s.Live, s.Events, s.Reciters, s.Albums, s.Lost, s.Duplicated, s.Reordered, s.Wrong, s.Behind,
		s.requests, s.FailedRequests, s.Acknowledged, s.StaleReads, c.KubectlPath(), namespace, release)
	for _, failure := range s.failures {
		fmt.Println("  failed:", failure)
	}
	if c.Local() {
		fmt.Println(`  hack/cluster.sh run sh -c 'psql "$NAWHAS_AUDIT_URL" -l'`)
	}
	fmt.Println("Clean up:\n  make cluster-down")
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
