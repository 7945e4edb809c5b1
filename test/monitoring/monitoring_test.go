//go:build monitoring

// Package monitoring has a real Prometheus read the operator's metrics on a real
// cluster, as config/prometheus says, while a release goes live and through every
// kind of trouble: each alert of config/prometheus fires and clears, and each
// query of the dashboard of config/grafana finds something.
//
// Start it with `make test-monitoring`.
package monitoring

import (
	"fmt"
	"os"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/cluster"
	"github.com/nawhas/nawhas-operator/test/node"
)

var shared *cluster.Cluster

func TestMain(m *testing.M) {
	var err error
	if shared, err = node.Connect(); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return node.Kubectl(t, shared, args...)
}

// TestMonitoring is one story, in this order: a release goes live and on to the
// next version, everything goes wrong once and is mended, the dashboard is asked
// about all that was, and a check sends a version back.
func TestMonitoring(t *testing.T) {
	if !shared.Local() {
		t.Skip("a Prometheus on this machine does not reach the pods of this cluster")
	}
	if err := shared.InstallOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := startPrometheus(t)
	t.Run("the metrics are for those who may read them", p.readersAreAsked)
	t.Run("Prometheus may find the operator", mayFindTheOperator)
	w := newWorld(t, p)
	for _, trouble := range troubles() {
		t.Run(trouble.alert, func(t *testing.T) { w.suffer(t, trouble) })
	}
	t.Run("every alert fired", p.everyAlertFired)
	t.Run("dashboard", w.asksTheDashboard)
	t.Run("a version goes back for what Prometheus says", w.goesBack)
}
