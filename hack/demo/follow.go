package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const look = 200 * time.Millisecond

// follow prints the release's stages until its version is live, and returns
// the name of the version's database.
func follow(ctx context.Context, c *cluster.Cluster, s *summary) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, goLive)
	defer cancel()
	started := time.Now()
	v := &viewer{seen: map[string]string{}}
	var nr v1alpha1.NawhasRelease
	err := cluster.Until(ctx, look, func() (bool, error) {
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: release}, &nr); err != nil {
			return false, fmt.Errorf("read the release: %w", err)
		}
		v.show(&nr)
		return nr.Status.ObservedGeneration == nr.Generation && meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionReady), nil
	})
	if err != nil {
		description, _ := c.Kubectl(context.WithoutCancel(ctx), "-n", namespace, "describe", "nawhasrelease", release)
		return "", fmt.Errorf("%s did not go live within %s: %w\n%s", nr.Spec.Version, goLive, err, description)
	}
	s.Live = nr.Status.Live
	s.Stages["live"] = seconds(time.Since(started))
	for _, version := range nr.Status.Versions {
		if version.Version != nr.Status.Live {
			continue
		}
		for _, stage := range version.Stages {
			s.Stages[stage.Name] = seconds(stage.Duration.Duration)
		}
		return version.Database, nil
	}
	return "", fmt.Errorf("the status does not tell of the live version %s", nr.Status.Live)
}

// viewer prints what has changed since it looked last.
type viewer struct{ seen map[string]string }

func (v *viewer) show(nr *v1alpha1.NawhasRelease) {
	for _, version := range nr.Status.Versions {
		if p := version.Progress; p != nil && version.Version == nr.Spec.Version {
			v.line("progress", fmt.Sprintf("  ● %-14s %3d %%  %d of %d, %d events/s", "replaying", p.Percent, p.Position, p.Target, p.EventsPerSecond))
		}
	}
	for _, stage := range append(v1alpha1.Stages(), v1alpha1.ConditionReady) {
		condition := meta.FindStatusCondition(nr.Status.Conditions, stage)
		if condition == nil || condition.ObservedGeneration < nr.Generation {
			continue
		}
		mark := "·"
		switch {
		case condition.Status == "True":
			mark = "✔"
		case stage == v1alpha1.ConditionReady || condition.Reason == v1alpha1.ReasonPending:
			continue // the stages tell it
		}
		v.line(stage, fmt.Sprintf("  %s %-14s %s: %s", mark, stage, condition.Reason, condition.Message))
	}
}

func (v *viewer) line(key, text string) {
	if v.seen[key] != text {
		v.seen[key] = text
		fmt.Println(text)
	}
}

// onDatabase is the connection string to another database of the server.
func onDatabase(connection, database string) (string, error) {
	u, err := url.Parse(connection)
	if err != nil {
		return "", fmt.Errorf("the connection string for the audit is not a URL")
	}
	u.Path = "/" + database
	return u.String(), nil
}
