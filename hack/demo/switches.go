package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/audit"
	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/hack/load"
)

const (
	first = "3.1.2"
	next  = "3.2.0"

	// enoughWrites is how many acknowledged writes the switches have to survive.
	enoughWrites = 5000
	between      = 3 * time.Second
	settle       = time.Minute
)

var errUnderLoad = errors.New("the switches were noticed: a request failed, a write was lost or a version lags for good")

// change is one change of spec.version under load.
type change struct {
	from, to    string
	asked, done time.Time
}

// underLoad goes to the next version, back, and forward again, while readers
// and writers work through the Service.
func underLoad(ctx context.Context, c *cluster.Cluster, s *summary) error {
	if !c.Local() {
		fmt.Println("the switches under load are NOT RUN: this machine does not reach the Services of this cluster")
		return nil
	}
	list := filepath.Join(c.Root, "bin", "demo", "acknowledged.jsonl")
	source, err := sourceURL(c)
	if err != nil {
		return err
	}
	before, err := head(ctx, source)
	if err != nil {
		return err
	}
	changes, noticed, err := switchThrice(ctx, c, list)
	if err != nil {
		return err
	}
	s.noticed(changes, noticed)
	return s.time("settle", func() error { return s.compare(ctx, c, source, list, before) })
}

func switchThrice(ctx context.Context, c *cluster.Cluster, list string) ([]change, load.Result, error) {
	address, err := c.Address(ctx, namespace, service)
	if err != nil {
		return nil, load.Result{}, err
	}
	acknowledged, err := os.Create(list)
	if err != nil {
		return nil, load.Result{}, fmt.Errorf("make the list of acknowledged writes: %w", err)
	}
	defer func() { _ = acknowledged.Close() }()
	fmt.Printf("readers and writers begin; %s → %s → %s → %s\n", first, next, first, next)
	running := load.Start(ctx, load.Options{URL: address, Readers: 8, ReadRate: 10, Writers: 8, WriteRate: 10, Acknowledged: acknowledged, Seed: 1})
	var changes []change
	for _, versions := range [][2]string{{first, next}, {next, first}, {first, next}} {
		made, err := switchTo(ctx, c, versions[0], versions[1])
		if err != nil {
			running.Stop()
			return nil, load.Result{}, err
		}
		changes = append(changes, made)
	}
	err = cluster.Until(ctx, look, func() (bool, error) { return running.Acknowledged() >= enoughWrites, nil })
	return changes, running.Stop(), err
}

// switchTo changes spec.version and waits until the other version is fenced.
func switchTo(ctx context.Context, c *cluster.Cluster, from, to string) (change, error) {
	time.Sleep(between)
	made := change{from: from, to: to, asked: time.Now()}
	var nr v1alpha1.NawhasRelease
	key := client.ObjectKey{Namespace: namespace, Name: release}
	if err := c.Get(ctx, key, &nr); err != nil {
		return made, fmt.Errorf("read the release: %w", err)
	}
	before := nr.DeepCopy()
	nr.Spec.Version = to
	if err := c.Patch(ctx, &nr, client.MergeFrom(before)); err != nil {
		return made, fmt.Errorf("set spec.version to %s: %w", to, err)
	}
	v := &viewer{seen: map[string]string{}}
	bounded, cancel := context.WithTimeout(ctx, goLive)
	defer cancel()
	fmt.Printf("%s → %s\n", from, to)
	err := cluster.Until(bounded, look, func() (bool, error) {
		if err := c.Get(ctx, key, &nr); err != nil {
			return false, fmt.Errorf("read the release: %w", err)
		}
		v.show(&nr)
		return nr.Status.Live == to && nr.Status.ObservedGeneration == nr.Generation &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionFenced), nil
	})
	if err != nil {
		description, _ := c.Kubectl(context.WithoutCancel(ctx), "-n", namespace, "describe", "nawhasrelease", release)
		return made, fmt.Errorf("%s did not go live: %w\n%s", to, err, description)
	}
	made.done = time.Now()
	return made, nil
}

// compare waits until both versions have all events, and audits them and the
// list of acknowledged writes.
func (s *summary) compare(ctx context.Context, c *cluster.Cluster, source, list string, before int64) error {
	writes, err := audit.Acknowledged(ctx, source, list, before)
	if err != nil {
		return err
	}
	s.Acknowledged = writes.Acknowledged
	s.Lost, s.Duplicated = s.Lost+writes.Lost, s.Duplicated+writes.Surplus
	end, err := head(ctx, source)
	if err != nil {
		return err
	}
	for _, version := range []string{first, next} {
		database, err := databaseOf(ctx, c, version)
		if err != nil {
			return err
		}
		if err := reaches(ctx, database, end); err != nil {
			return fmt.Errorf("wait until %s has all events: %w", version, err)
		}
		findings, err := audit.Run(ctx, source, database)
		if err != nil {
			return err
		}
		fmt.Printf("audited %s: %d events, lost %d, duplicated %d, reordered %d, wrong %d\n", version,
			findings.Events, findings.Lost, findings.Duplicated, findings.Reordered, findings.Wrong)
		s.add(findings)
	}
	s.Live = next
	return nil
}

func databaseOf(ctx context.Context, c *cluster.Cluster, version string) (string, error) {
	var nr v1alpha1.NawhasRelease
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: release}, &nr); err != nil {
		return "", fmt.Errorf("read the release: %w", err)
	}
	for _, v := range nr.Status.Versions {
		if v.Version == version {
			return onDatabase(c.AuditURL, v.Database)
		}
	}
	return "", fmt.Errorf("the status does not tell of version %s", version)
}

func reaches(ctx context.Context, database string, position int64) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return fmt.Errorf("connect to the version's database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	return cluster.Until(ctx, look, func() (bool, error) {
		var reached bool
		err := conn.QueryRow(ctx, "SELECT position >= $1 FROM checkpoint", position).Scan(&reached)
		return reached, err
	})
}

func head(ctx context.Context, source string) (int64, error) {
	conn, err := pgx.Connect(ctx, source)
	if err != nil {
		return 0, fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var position int64
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM events").Scan(&position); err != nil {
		return 0, fmt.Errorf("read the head of the log: %w", err)
	}
	return position, nil
}
