package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/hack/load"
)

// failuresShown is how many failed requests are shown to people.
const failuresShown = 10

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
	// NewConnectionsMillis is from the moment at which the Service led to the new
	// version until the last client that came over a new connection and was still
	// answered by the old one; the longest of all switches.
	NewConnectionsMillis int64 `json:"newConnectionsMillis"`
	// StrictPauseMillis is the longest time in which nobody's write was
	// acknowledged during a switch in mode Strict, StrictSlowestWriteMillis what the
	// slowest write took with its retries, and StrictRefusals how many attempts were
	// answered with "come again".
	StrictPauseMillis        int64 `json:"strictPauseMillis"`
	StrictSlowestWriteMillis int64 `json:"strictSlowestWriteMillis"`
	StrictRefusals           int64 `json:"strictRefusals"`
	// Requests and RequestsPerSecond are of the whole time under load.
	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`

	failures []load.Failure
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
	s.Requests, s.RequestsPerSecond, s.StaleReads = r.Requests, math.Round(r.Rate(r.Whole())), r.Stale
	s.FailedRequests, s.failures = r.Failed, r.Failures
	for i, made := range changes {
		until := r.Ended
		if i+1 < len(changes) {
			until = changes[i+1].asked
		}
		overlap, total := r.Overlap(load.Span{From: made.asked, To: until}, made.from, made.to)
		settled := r.Settled(load.Span{From: made.flipped, To: until}, made.from)
		s.NewConnectionsMillis = max(s.NewConnectionsMillis, settled.Milliseconds())
		fmt.Printf("%s → %s: both answered for %d ms; %d ms from asking to the last answer of %s; %d ms from the flip to its last new client\n",
			made.from, made.to, overlap.Milliseconds(), total.Milliseconds(), made.from, settled.Milliseconds())
		if made.mode == v1alpha1.CutoverStrict {
			s.noticedStrictly(load.Span{From: made.asked, To: until}, &r)
			continue
		}
		s.SwitchMillis = max(s.SwitchMillis, overlap.Milliseconds())
		if made.to == first {
			s.RollbackMillis = total.Milliseconds()
		}
	}
}

// noticedStrictly adds the pause of a switch in mode Strict. That a version which
// lost its place asks to come again is no failure there, as long as nodes lead
// clients to it.
func (s *summary) noticedStrictly(within load.Span, r *load.Result) {
	silence, slowest := r.WritePause(within)
	s.StrictPauseMillis = max(s.StrictPauseMillis, silence.Milliseconds())
	s.StrictSlowestWriteMillis = max(s.StrictSlowestWriteMillis, slowest.Milliseconds())
	others := slices.DeleteFunc(slices.Clone(s.failures), func(f load.Failure) bool { return f.Refused && within.Has(f.At) })
	refusals := len(s.failures) - len(others)
	s.failures = others
	s.StrictRefusals += int64(refusals)
	s.FailedRequests -= int64(refusals)
	fmt.Printf("  strictly: nobody's write was acknowledged for %d ms, the slowest took %d ms; %d attempts were told to come again\n",
		silence.Milliseconds(), slowest.Milliseconds(), refusals)
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
	for _, failure := range s.failures[:min(len(s.failures), failuresShown)] {
		fmt.Println("  failed:", failure)
	}
	fmt.Printf(`
%s is live: %d events in, %d reciters and %d albums out
lost %d, duplicated %d, reordered %d, wrong %d, behind %d   (bin/demo/summary.json)
under load: %d requests (%.0f a second), %d failed; %d writes acknowledged, %d own writes not seen

Look around:
  hack/cluster.sh run %s get nr -A
  hack/cluster.sh run %[15]s -n %s describe nr %s
  make plugin && hack/cluster.sh run bin/kubectl-nawhas status -n %[16]s
`, s.Live, s.Events, s.Reciters, s.Albums, s.Lost, s.Duplicated, s.Reordered, s.Wrong, s.Behind,
		s.Requests, s.RequestsPerSecond, s.FailedRequests, s.Acknowledged, s.StaleReads, c.KubectlPath(), namespace, release)
	if c.Local() {
		fmt.Println(`  hack/cluster.sh run sh -c 'psql "$NAWHAS_AUDIT_URL" -l'`)
	}
	fmt.Println("Clean up:\n  make cluster-down")
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
