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
	// patience is how long clients try again what failed.
	patience = 30 * time.Second
)

var errUnderLoad = errors.New("the switches were noticed: a request failed, a write was lost or a version lags for good")

// change is one change of spec.version under load.
type change struct {
	from, to string
	mode     v1alpha1.CutoverMode
	// flipped is when the Service led to the version.
	asked, flipped time.Time
}

// journey is where the release goes: to the next version, back, and forward
// again, and then back and forward in mode Strict.
func journey() []change {
	there := func(mode v1alpha1.CutoverMode) change { return change{from: first, to: next, mode: mode} }
	back := func(mode v1alpha1.CutoverMode) change { return change{from: next, to: first, mode: mode} }
	const quietly, strictly = v1alpha1.CutoverFlipThenFence, v1alpha1.CutoverStrict
	return []change{there(quietly), back(quietly), there(quietly), back(strictly), there(strictly)}
}

// underLoad makes the journey while readers and writers work through the
// Service.
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
	changes, noticed, err := travel(ctx, c, list)
	if err != nil {
		return err
	}
	s.noticed(changes, noticed)
	return s.time("settle", func() error { return s.compare(ctx, c, source, list, before) })
}

func travel(ctx context.Context, c *cluster.Cluster, list string) ([]change, load.Result, error) {
	address, err := c.Address(ctx, namespace, service)
	if err != nil {
		return nil, load.Result{}, err
	}
	acknowledged, err := os.Create(list)
	if err != nil {
		return nil, load.Result{}, fmt.Errorf("make the list of acknowledged writes: %w", err)
	}
	defer func() { _ = acknowledged.Close() }()
	fmt.Println("readers and writers begin, together 240 requests a second, and 20 newcomers a second")
	running := load.Start(ctx, load.Options{URL: address, Readers: 10, ReadRate: 8, Writers: 16, WriteRate: 5, Newcomers: 4, NewcomerRate: 5,
		Patience: patience, Acknowledged: acknowledged, Seed: 1})
	changes := journey()
	for i := range changes {
		if err := changes[i].make(ctx, c); err != nil {
			running.Stop()
			return nil, load.Result{}, err
		}
	}
	err = cluster.Until(ctx, look, func() (bool, error) { return running.Acknowledged() >= enoughWrites, nil })
	asBefore := change{to: next, mode: v1alpha1.CutoverFlipThenFence}
	return changes, running.Stop(), errors.Join(err, asBefore.ask(ctx, c))
}

// make changes spec.version and waits until the other version is fenced.
func (made *change) make(ctx context.Context, c *cluster.Cluster) error {
	time.Sleep(between)
	ctx, cancel := context.WithTimeout(ctx, goLive)
	defer cancel()
	flipped, err := c.Flipped(ctx, namespace, service, made.to)
	if err != nil {
		return err
	}
	fmt.Printf("%s → %s (%s)\n", made.from, made.to, made.mode)
	made.asked = time.Now()
	if err := made.ask(ctx, c); err != nil {
		return err
	}
	v := &viewer{seen: map[string]string{}}
	var nr v1alpha1.NawhasRelease
	err = cluster.Until(ctx, look, func() (bool, error) {
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: release}, &nr); err != nil {
			return false, fmt.Errorf("read the release: %w", err)
		}
		v.show(&nr)
		return nr.Status.Live == made.to && nr.Status.ObservedGeneration == nr.Generation &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionFenced), nil
	})
	if err != nil {
		description, _ := c.Kubectl(context.WithoutCancel(ctx), "-n", namespace, "describe", "nawhasrelease", release)
		return fmt.Errorf("%s did not go live: %w\n%s", made.to, err, description)
	}
	var seen bool
	if made.flipped, seen = <-flipped; !seen {
		return fmt.Errorf("the Service %s was not seen to lead to version %s", service, made.to)
	}
	return nil
}

func (made *change) ask(ctx context.Context, c *cluster.Cluster) error {
	var nr v1alpha1.NawhasRelease
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: release}, &nr); err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	before := nr.DeepCopy()
	nr.Spec.Version, nr.Spec.Cutover.Mode = made.to, made.mode
	if err := c.Patch(ctx, &nr, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("set spec.version to %s: %w", made.to, err)
	}
	return nil
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
