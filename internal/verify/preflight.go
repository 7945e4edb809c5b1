package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// KindUse is a kind of event in the log and what an edition makes of it.
type KindUse struct {
	projection.Kind
	Events int64
	// First is the position of the first event of this kind.
	First int64
	// Projectors handle it. None do when the kind is Ignored or unknown.
	Projectors []string
	Ignored    bool
}

// Unknown tells whether nobody thought of the kind.
func (k KindUse) Unknown() bool { return len(k.Projectors) == 0 && !k.Ignored }

// Preflight looks through the whole log, in one aggregate, for kinds of events
// that an edition neither handles nor knowingly ignores. The error is a
// *projection.Poison about the first event of such a kind: a replay would stop
// there, be it after hours. Events that are skipped do not count.
func Preflight(ctx context.Context, source eventlog.DB, log *eventlog.Log, model *projection.Model, skip []uuid.UUID) ([]KindUse, error) {
	if err := log.Check(ctx, source); err != nil {
		return nil, err
	}
	rows, err := source.Query(ctx, "SELECT e.name, e.version, count(*), min(e.position) FROM "+log.Rows()+" e WHERE cardinality($1::uuid[]) = 0 OR e.id <> ALL ($1) GROUP BY 1, 2 ORDER BY 4",
		append([]uuid.UUID{}, skip...))
	if err != nil {
		return nil, fmt.Errorf("read the kinds of events in the log: %w", err)
	}
	kinds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (KindUse, error) {
		var k KindUse
		err := row.Scan(&k.Name, &k.Version, &k.Events, &k.First)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the kinds of events in the log: %w", err)
	}
	var unknown []KindUse
	for i := range kinds {
		kinds[i].Projectors, kinds[i].Ignored = useOf(model, kinds[i].Kind)
		if kinds[i].Unknown() {
			unknown = append(unknown, kinds[i])
		}
	}
	if len(unknown) == 0 {
		return kinds, nil
	}
	return kinds, poisonOf(ctx, source, log, unknown)
}

func useOf(model *projection.Model, kind projection.Kind) (projectors []string, ignored bool) {
	for _, projector := range model.Projectors {
		if slices.Contains(projector.Handles(), kind) {
			projectors = append(projectors, projector.Name())
		}
	}
	return projectors, slices.Contains(model.Ignored, kind)
}

// poisonOf is about the first event of all unknown kinds, and names the kinds.
func poisonOf(ctx context.Context, source eventlog.DB, log *eventlog.Log, unknown []KindUse) error {
	var events int64
	var names []string
	for _, k := range unknown {
		events += k.Events
		names = append(names, k.String())
	}
	poison := &projection.Poison{Position: unknown[0].First, Name: unknown[0].Name, Version: unknown[0].Version, Unknown: true,
		Reason: fmt.Sprintf("this edition does not know such an event; the log has %d events of the unknown kinds %s", events, strings.Join(names, ", "))}
	if err := source.QueryRow(ctx, "SELECT e.id FROM "+log.Rows()+" e WHERE e.position = $1", poison.Position).Scan(&poison.EventID); err != nil {
		return fmt.Errorf("read the id of the event at position %d: %w", poison.Position, err)
	}
	return poison
}
