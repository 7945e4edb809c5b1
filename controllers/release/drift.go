package release

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// drifts counts for each release how often others have changed something of it
// on a server: a pass that finds another number than the one before makes sure
// of roles, rights and databases anew. It is safe for concurrent use.
type drifts struct {
	mu     sync.Mutex
	counts map[types.NamespacedName]int
}

func (d *drifts) note(name types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[types.NamespacedName]int{}
	}
	d.counts[name]++
}

func (d *drifts) count(name types.NamespacedName) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[name]
}

func (d *drifts) forget(name types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.counts, name)
}

// versionKey tells versions of all releases apart.
type versionKey struct{ release, version string }

// catalogsOf are what a survey saw of the versions' roles.
func catalogsOf(survey ledger.Survey) map[versionKey]string {
	catalogs := make(map[versionKey]string, len(survey.Versions))
	for _, g := range survey.Versions {
		catalogs[versionKey{g.Release, g.Version}] = g.Catalog
	}
	return catalogs
}

// drifted says that the roles or the database of a version have changed since
// the look before, or nothing. What the operator itself did looks the same: the
// next pass is then told of it once more, and finds that all is well. While a
// release is on its way only a candidate's are of its own making.
func drifted(versions []ledger.Glance, before map[versionKey]string, rests bool) string {
	for _, g := range versions {
		known, ok := before[versionKey{g.Release, g.Version}]
		if ok && known != g.Catalog && (rests || g.Role != ledger.Candidate) {
			return "the roles or the database of version " + g.Version + " have changed"
		}
	}
	return ""
}
