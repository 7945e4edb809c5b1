package release

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// plan says what building the target would take, and begins nothing. The
// servers are asked once for each generation of the spec.
func (st databaseStage) plan(ctx context.Context, s *scope) (outcome, error) {
	known := s.release.Status.Plan
	if known == nil || known.ObservedGeneration != s.release.Generation || known.Version != s.release.Spec.Version {
		planned, err := s.estimate(ctx)
		if err != nil {
			return outcome{}, err
		}
		known = planned
	}
	s.planned = known
	return outcome{reason: v1alpha1.ReasonDryRun, message: describePlan(known), again: pollSlow, paused: true, rests: true}, nil
}

// estimate asks the servers what a build of spec.version would take.
func (s *scope) estimate(ctx context.Context) (*v1alpha1.ReleasePlan, error) {
	spec := &s.release.Spec
	names, err := versiondb.NamesOf(spec.Databases.Prefix, spec.Version)
	if err != nil {
		return nil, err
	}
	planned := &v1alpha1.ReleasePlan{Version: spec.Version, ObservedGeneration: s.release.Generation, Database: names.Database,
		Image: s.plans[spec.Version].image(), Events: s.head}
	if rate := expectedRate(s.versions, spec.Replay.MaxEventsPerSecond); rate > 0 {
		planned.EventsPerSecond = &rate
		planned.Duration = &metav1.Duration{Duration: time.Duration(float64(s.head) / float64(rate) * float64(time.Second)).Round(time.Second)}
	}
	const left = `SELECT (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'))::int`
	table := s.log.Table()
	err = s.sourcePool.QueryRow(ctx, left+`, pg_total_relation_size(format('%I.%I', $1::text, $2::text)::regclass)`, table.Schema, table.Name).
		Scan(&planned.SourceConnections, &planned.LogBytes)
	if err != nil {
		return nil, s.onSource(err)
	}
	database := ""
	if live := s.live(); live != nil && s.existing[live.Database] {
		database = live.Database
	}
	err = s.databasesPool.QueryRow(ctx, left+`, pg_size_bytes(current_setting('max_wal_size')), (SELECT pg_database_size(oid) FROM pg_database WHERE datname = $1)`, database).
		Scan(&planned.DatabasesConnections, &planned.MaxWALBytes, &planned.DatabaseBytes)
	if err != nil {
		return nil, s.onDatabases(err)
	}
	return planned, nil
}

// expectedRate is how many events a second the last replay applied, within the
// limit, if there is one; 0 when nobody knows. Versions are given the newest
// first.
func expectedRate(versions []*ledger.Version, limit int64) int64 {
	for _, v := range versions {
		stage := v.Stages[v1alpha1.ConditionReplayed]
		if stage.FinishedAt == nil {
			continue
		}
		took, events := stage.FinishedAt.Sub(stage.StartedAt).Seconds(), stage.Summary().Position
		if took <= 0 || events <= 0 {
			continue
		}
		rate := max(1, int64(float64(events)/took))
		if limit > 0 {
			rate = min(rate, limit)
		}
		return rate
	}
	return limit
}

func describePlan(p *v1alpha1.ReleasePlan) string {
	took := "nothing was replayed before, so that nobody knows how long it takes"
	if p.Duration != nil {
		took = fmt.Sprintf("at %d events/s, as the last replay, it takes about %s", *p.EventsPerSecond, p.Duration.Duration)
	}
	size := "no version is live whose database would show how much room it needs"
	if p.DatabaseBytes != nil {
		size = fmt.Sprintf("it needs about %s of disk, as the live version's database has", bytes(*p.DatabaseBytes))
	}
	return fmt.Sprintf("spec.dryRun is true: version %s is not begun. %s would replay at most %d events into database %s; %s; %s. "+
		"The databases server has %d sessions left and max_wal_size %s, the source's server %d sessions. Set spec.dryRun to false to build it",
		p.Version, p.Image, p.Events, p.Database, took, size, p.DatabasesConnections, bytes(p.MaxWALBytes), p.SourceConnections)
}

// bytes writes a size as people do.
func bytes(n int64) string {
	const step = 1024
	units, size, unit := []string{"KiB", "MiB", "GiB", "TiB"}, float64(n), "B"
	for _, next := range units {
		if size < step {
			break
		}
		size, unit = size/step, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
