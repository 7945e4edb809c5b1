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
	s.Lost, s.Duplicated, s.Reordered, s.Wrong = f.Lost, f.Duplicated, f.Reordered, f.Wrong
	s.Reciters, s.Albums = f.Reciters, f.Albums
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

Look around:
  hack/cluster.sh run %s get nr -A
  hack/cluster.sh run %[10]s -n %s describe nr %s
`, s.Live, s.Events, s.Reciters, s.Albums, s.Lost, s.Duplicated, s.Reordered, s.Wrong, s.Behind, c.KubectlPath(), namespace, release)
	if c.Local() {
		fmt.Println(`  hack/cluster.sh run sh -c 'psql "$NAWHAS_AUDIT_URL" -l'`)
	}
	fmt.Println("Clean up:\n  make cluster-down")
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }
