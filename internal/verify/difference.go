package verify

import (
	"context"
	"fmt"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// difference counts the events that a projector should have handled and has
// not, and those that it has handled and should not have.
func (in *inspection) difference(ctx context.Context, projector projection.Projector) (missing, extra int64, noted []string, err error) {
	var names []string
	var versions []int16
	for _, kind := range projector.Handles() {
		names, versions = append(names, kind.Name), append(versions, kind.Version)
	}
	wanted, err := in.source.Query(ctx, "SELECT e.id::text FROM "+in.events()+` e JOIN unnest($2::text[], $3::smallint[]) AS k(name, version)
		ON e.name = k.name AND e.version = k.version WHERE e.position <= $1 AND e.id <> ALL ($4::uuid[]) ORDER BY e.id`,
		in.checkpoint.Position, names, versions, in.skipped())
	if err != nil {
		return 0, 0, nil, err
	}
	defer wanted.Close()
	got, err := in.database.Query(ctx, "SELECT event_id::text FROM projected_events WHERE projector = $1 ORDER BY event_id", projector.Name())
	if err != nil {
		return 0, 0, nil, err
	}
	defer got.Close()
	var keys samples
	err = walk(newKeys(wanted), newKeys(got), steps[struct{}]{
		missing: func(id string) {
			missing++
			keys.note(fmt.Sprintf("event %s is missing in %s", id, projector.Name()))
		},
		extra: func(id string) {
			extra++
			keys.note(fmt.Sprintf("event %s is too much in %s", id, projector.Name()))
		},
		both: func(string, struct{}, struct{}) {},
	})
	return missing, extra, keys.noted, err
}
