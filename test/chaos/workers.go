package main

import (
	"maps"
	"slices"

	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

// exclusive is the workload of which two versions must never run at a time.
const exclusive = "queue"

// lookAtWorkers counts a moment at which processes of an exclusive workload run in
// two versions, also one that was asked to end.
func (o *watcher) lookAtWorkers() {
	versions := map[string]bool{}
	for _, p := range o.world.node.Processes(func(p *node.Process) bool { return p.Stage == exclusive }) {
		versions[p.Version] = true
	}
	if len(versions) > 1 {
		o.workers.Add(1)
		o.world.log.Error("an exclusive workload runs twice", "versions", slices.Sorted(maps.Keys(versions)))
	}
}
