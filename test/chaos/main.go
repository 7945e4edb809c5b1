// Command chaos takes releases through random schedules of versions, ways back
// and faults, ends the operator and the programs of versions at every side effect that they
// have, and audits what became of the clients' writes.
//
// Everything that it tests is real: Postgres, the API server, Kubernetes'
// controllers, the operator and the application are the programs that users
// run, each a process of its own, killed with SIGKILL. Only the node is played
// (package node). Side effects are found on the wire, by proxies that name
// every statement and every request that writes; points.txt lists them, so that
// one which nobody ends at, or which is new, does not go unnoticed. The audit
// is plain SQL and shares no code with the engine.
//
// A seed has one schedule and can be run alone. What it does not repeat is the
// speed of the machine.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

type options struct {
	seeds, seed uint64
	workers     int
	record      bool
	missed      bool
}

// seedsOnly separates seeds from sweeps, which are numbered above it.
const seedsOnly = 100_000

// sweepRounds is how often what was missed is tried again.
const sweepRounds = 4

func main() {
	var o options
	flag.Uint64Var(&o.seeds, "seeds", 20, "how many seeds share the kill points among them")
	flag.Uint64Var(&o.seed, "seed", 0, "run only this seed of them, 0 for all")
	flag.IntVar(&o.workers, "workers", 3, "how many runs are made at a time")
	flag.BoolVar(&o.record, "record", false, "write the points that are met to test/chaos/points.txt, and end nothing there")
	flag.BoolVar(&o.missed, "missed", false, "make no seed, but come to what the last run did not come to")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	good, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if !good {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (bool, error) {
	if o.seeds < 1 || o.seeds > seedsOnly || o.seed > o.seeds || o.workers < 1 {
		return false, errors.New("--seeds must be at least 1, --seed one of them, and --workers at least 1")
	}
	root, err := os.Getwd()
	if err != nil {
		return false, fmt.Errorf("find the repository: %w", err)
	}
	catalogue, err := readPoints(filepath.Join(root, pointsFile))
	if err != nil {
		return false, err
	}
	folder := filepath.Join(root, "bin", "chaos")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return false, fmt.Errorf("make the folder of results: %w", err)
	}
	started := time.Now()
	cluster, err := startCluster(root, folder)
	if err != nil {
		return false, err
	}
	defer cluster.stop()
	bin := filepath.Join(root, "bin", "linux")
	c := &campaign{cluster: cluster, folder: folder, seeds: o.seeds, workers: o.workers, catalogue: catalogue, programs: programs{
		operator: filepath.Join(bin, "manager"),
		nawhas:   map[string]string{first: filepath.Join(bin, "nawhas"), second: filepath.Join(bin, "nawhas-next"), third: filepath.Join(bin, "nawhas-third")},
	}}
	if o.record {
		return true, c.record(ctx, filepath.Join(root, pointsFile))
	}
	if o.missed {
		if c.only, err = missedBefore(folder); err != nil {
			return false, err
		}
	} else {
		c.perform(ctx, c.plans(o.seed))
	}
	for round := uint64(0); o.seed == 0 && round < sweepRounds && ctx.Err() == nil; round++ {
		c.perform(ctx, c.sweeps(round))
	}
	s := c.summarize()
	if err := s.write(folder); err != nil {
		return false, err
	}
	s.print(o.seed == 0)
	fmt.Printf("%.0f s; bin/chaos/summary.json\n", math.Round(time.Since(started).Seconds()))
	for _, seed := range s.Failures {
		if seed > seedsOnly {
			continue // what a sweep tries depends on what the runs before it missed
		}
		fmt.Printf("  again: make chaos SEEDS=%d ONLY=%d\n", o.seeds, seed)
	}
	if o.seed != 0 {
		return len(s.Failures) == 0, ctx.Err()
	}
	return s.good(), ctx.Err()
}

// plans are those of one seed, or of all.
func (c *campaign) plans(only uint64) []plan {
	var plans []plan
	for seed := uint64(1); seed <= c.seeds; seed++ {
		if only == 0 || seed == only {
			plans = append(plans, planOf(seed, c.seeds, c.catalogue))
		}
	}
	return plans
}

// record makes runs in which programs end only by what they may do to each
// other, and lists the points that they met.
func (c *campaign) record(ctx context.Context, path string) error {
	plans := c.plans(0)
	for i := range plans {
		plans[i].targets = nil
	}
	c.perform(ctx, append(plans, sweepOf(seedsOnly+1, 0, modeOf(1), nil), sweepOf(seedsOnly+2, 1, modeOf(2), nil)))
	lines := c.catalogued()
	if err := os.WriteFile(path, []byte(pointsHead+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the points: %w", err)
	}
	fmt.Printf("%d points in %s\n", len(lines), pointsFile)
	return nil
}

const (
	pointsFile = "test/chaos/points.txt"
	pointsHead = "# Every side effect of the operator and of the programs of versions, as `make chaos-points` met them. A mode in front says that only\n# it meets the point.\n"
)

// readPoints reads the list of known points. Without one nothing is known.
func readPoints(path string) ([]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kill points: %w", err)
	}
	defer func() { _ = file.Close() }()
	var points []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			points = append(points, line)
		}
	}
	return points, lines.Err()
}
