package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// summary is bin/demo/laravel.json.
type summary struct {
	Live         string  `json:"live"`
	Events       int64   `json:"events"`
	Acknowledged int64   `json:"acknowledged"`
	Lost         int64   `json:"lost"`
	Duplicated   int64   `json:"duplicated"`
	Reordered    int64   `json:"reordered"`
	Wrong        int64   `json:"wrong"`
	Failed       int64   `json:"failedRequests"`
	Refused      int64   `json:"refusedAttempts"`
	WriteRate    float64 `json:"writesPerSecond"`
	// PauseMillis is the longest time in which nobody's write was acknowledged.
	PauseMillis int64 `json:"pauseMillis"`
	// Seconds are from asking for a version until it is live and the one before it
	// is fenced.
	Seconds map[string]float64 `json:"seconds"`
	// Rounds are how many it took to build each database the first time.
	Rounds map[string]int64 `json:"rounds"`
	// FailedRounds are those that were killed, each of which had a database built
	// anew.
	FailedRounds int64 `json:"failedRounds"`

	began   time.Time
	killed  int64
	created []string
}

// conclude waits until the version that is warm has everything, too, and
// compares.
func (s *summary) conclude(ctx context.Context, c *cluster.Cluster) error {
	source, err := pgx.Connect(ctx, onDatabase(c.AuditURL, c.SourceURL))
	if err != nil {
		return fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	if err := settled(ctx, c, source); err != nil {
		return err
	}
	if s.Lost, err = missing(ctx, source, s.created); err != nil {
		return err
	}
	fmt.Printf("of %d reciters that were acknowledged %d are not in the log\n", len(s.created), s.Lost)
	for _, version := range []string{first, next} {
		var database string
		var rounds int64
		err := source.QueryRow(ctx, `SELECT v.database, coalesce(max(r.number), 0) FROM nawhas_ledger.versions v LEFT JOIN nawhas_ledger.rounds r USING (release, version)
			WHERE v.release = $1 AND v.version = $2 GROUP BY 1`, namespace+"/"+release, version).Scan(&database, &rounds)
		if err != nil {
			return fmt.Errorf("look for version %s in the ledger: %w", version, err)
		}
		s.Rounds[version] = rounds
		found, err := compare(ctx, source, named(c.AuditURL, database))
		if err != nil {
			return err
		}
		fmt.Printf("compared %s (%s) with the log: %d events, lost %d, duplicated %d, reordered %d, wrong %d\n", version, database, found.events, found.lost, found.duplicated, found.reordered, found.wrong)
		s.Events, s.Lost, s.Duplicated, s.Reordered, s.Wrong = found.events, s.Lost+found.lost, s.Duplicated+found.duplicated, s.Reordered+found.reordered, s.Wrong+found.wrong
	}
	err = source.QueryRow(ctx, "SELECT count(*) FROM nawhas_ledger.journal WHERE release = $1 AND transition = 'RoundFailed' AND at > $2", namespace+"/"+release, s.began).Scan(&s.FailedRounds)
	if err != nil {
		return fmt.Errorf("count the rounds that failed: %w", err)
	}
	return s.write(filepath.Join(c.Root, "bin", "demo", "laravel.json"))
}

func (s *summary) write(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make the folder of the summary: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	fmt.Println(string(content))
	if s.FailedRounds != s.killed {
		return fmt.Errorf("%d rounds were killed and %d failed", s.killed, s.FailedRounds)
	}
	if s.Lost+s.Duplicated+s.Reordered+s.Wrong+s.Failed > 0 || s.PauseMillis > longestPause.Milliseconds() {
		return errFindings
	}
	return nil
}
