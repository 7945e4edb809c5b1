package verify

import (
	"maps"
	"slices"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Rebuild is the content of a database and that of another one, which a second
// replay built from the same events with other chunks and other parallelism.
type Rebuild struct{ Original, Rebuilt projection.Hash }

// check: a replay depends on nothing but the events.
func (r Rebuild) check() Check {
	tables := maps.Clone(r.Original.Tables)
	maps.Copy(tables, r.Rebuilt.Tables)
	if r.Original.Position != r.Rebuilt.Position {
		return fail(0, "tables", 1, nil, "the second replay is at position %d and the database at %d", r.Rebuilt.Position, r.Original.Position)
	}
	var differing []string
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if r.Original.Tables[table] != r.Rebuilt.Tables[table] {
			differing = append(differing, table)
		}
	}
	if len(differing) > 0 {
		return fail(int64(len(tables)), "tables", int64(len(differing)), first(differing), "a second replay up to position %d gives another content of %d tables", r.Rebuilt.Position, len(differing))
	}
	check := pass(int64(len(tables)), "tables")
	check.Detail = "content hash " + r.Original.String()
	return check
}
