package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// digest turns an id into a number such that sums of digests tell sets apart.
// It is spelled with md5 because hash functions of Postgres may differ between
// the servers of the log and of the database.
func digest(id string) string {
	return fmt.Sprintf("('x' || left(md5(%s::text), 16))::bit(64)::bigint", id)
}

// tally is a number of events and the sum of their ids' digests.
type tally struct {
	Count int64
	Sum   string
}

// logSummary is the log up to the position, in numbers.
type logSummary struct {
	kinds map[projection.Kind]struct{}
}

func (in *inspection) columns() (position, id, name, version, relation string) {
	t := in.Log.Table()
	quote := func(parts ...string) string { return pgx.Identifier(parts).Sanitize() }
	version = "1::smallint"
	if t.Version != "" {
		version = quote(t.Version)
	}
	return quote(t.Position), quote(t.ID), quote(t.EventName), version, quote(t.Schema, t.Name)
}

func (in *inspection) summariseLog(ctx context.Context) error {
	position, id, name, version, relation := in.columns()
	rows, err := in.source.Query(ctx, fmt.Sprintf(`SELECT %s, %s, count(*) FROM %s WHERE %s <= $1 GROUP BY 1, 2`, name, version, relation, position),
		in.checkpoint.Position)
	if err != nil {
		return fmt.Errorf("count the events of the log: %w", err)
	}
	in.log.kinds = map[projection.Kind]struct{}{}
	var kind projection.Kind
	var count int64
	_, err = pgx.ForEachRow(rows, []any{&kind.Name, &kind.Version, &count}, func() error {
		in.log.kinds[kind] = struct{}{}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the events of the log: %w", err)
	}
	err = in.source.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), coalesce(sum(%s), 0)::text FROM %s WHERE %s <= $1`, digest(id), relation, position),
		in.checkpoint.Position).Scan(&in.evidence.Events, &in.evidence.EventsHash)
	if err != nil {
		return fmt.Errorf("sum up the log: %w", err)
	}
	return nil
}

// checkEventsKnown: every kind of event in the log is handled or knowingly
// ignored by this edition.
func (in *inspection) checkEventsKnown(context.Context) (Check, error) {
	known := map[projection.Kind]bool{}
	for _, kind := range in.model.Ignored {
		known[kind] = true
	}
	for _, projector := range in.model.Projectors {
		for _, kind := range projector.Handles() {
			known[kind] = true
		}
	}
	var strange []string
	for kind := range in.log.kinds {
		if !known[kind] {
			strange = append(strange, kind.String())
		}
	}
	if len(strange) == 0 {
		return pass(int64(len(in.log.kinds)), "kinds"), nil
	}
	slices.Sort(strange)
	return fail(int64(len(in.log.kinds)), "kinds", int64(len(strange)), first(strange), "the log has kinds of events that this edition does not know"), nil
}

// checkCompleteness: each projector has handled exactly the events of its kinds
// up to the position, but for those that were passed over on request.
func (in *inspection) checkCompleteness(ctx context.Context) (Check, error) {
	skipped, err := in.skipped(ctx)
	if err != nil {
		return Check{}, err
	}
	found, err := in.projected(ctx)
	if err != nil {
		return Check{}, err
	}
	var total, faults int64
	var samples, details []string
	for _, projector := range in.model.Projectors {
		want, err := in.handled(ctx, projector, skipped)
		if err != nil {
			return Check{}, err
		}
		total += want.Count
		got := found[projector.Name()]
		delete(found, projector.Name())
		if got == want {
			continue
		}
		missing, extra, keys, err := in.difference(ctx, projector, skipped)
		if err != nil {
			return Check{}, err
		}
		faults += max(missing+extra, 1)
		samples = append(samples, keys...)
		details = append(details, fmt.Sprintf("projector %s has handled %d events instead of %d: %d missing, %d too many",
			projector.Name(), got.Count, want.Count, missing, extra))
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		faults += found[name].Count
		details = append(details, fmt.Sprintf("projector %s is none of this edition's and has handled %d events", name, found[name].Count))
	}
	if faults > 0 {
		return fail(total, "events handled", faults, first(samples), "%s", strings.Join(details, "; ")), nil
	}
	return pass(total, "events handled"), nil
}

func (in *inspection) skipped(ctx context.Context) ([]uuid.UUID, error) {
	rows, err := in.database.Query(ctx, "SELECT event_id FROM skipped_events")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

func (in *inspection) projected(ctx context.Context) (map[string]tally, error) {
	rows, err := in.database.Query(ctx, fmt.Sprintf("SELECT projector, count(*), sum(%s)::text FROM projected_events GROUP BY 1", digest("event_id")))
	if err != nil {
		return nil, err
	}
	found := map[string]tally{}
	var projector string
	var t tally
	_, err = pgx.ForEachRow(rows, []any{&projector, &t.Count, &t.Sum}, func() error {
		found[projector] = t
		return nil
	})
	return found, err
}

// handled sums up what a projector should have handled. An empty tally has no
// sum, as a projector without rows has none.
func (in *inspection) handled(ctx context.Context, projector projection.Projector, skipped []uuid.UUID) (tally, error) {
	_, id, _, _, _ := in.columns()
	var t tally
	err := in.source.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), coalesce(sum(%s)::text, '') FROM %s`, digest("e."+id), in.handledEvents()),
		in.handledArgs(projector, skipped)...).Scan(&t.Count, &t.Sum)
	return t, err
}

// handledEvents is the FROM clause of the events of some kinds; its arguments
// are those of handledArgs.
func (in *inspection) handledEvents() string {
	position, id, name, version, relation := in.columns()
	if version != "1::smallint" {
		version = "e." + version
	}
	return fmt.Sprintf(`%s e JOIN unnest($2::text[], $3::smallint[]) AS k(name, version) ON e.%s = k.name AND %s = k.version
		WHERE e.%s <= $1 AND e.%s <> ALL ($4::uuid[])`, relation, name, version, position, id)
}

func (in *inspection) handledArgs(projector projection.Projector, skipped []uuid.UUID) []any {
	var names []string
	var versions []int16
	for _, kind := range projector.Handles() {
		names, versions = append(names, kind.Name), append(versions, kind.Version)
	}
	if skipped == nil {
		skipped = []uuid.UUID{}
	}
	return []any{in.checkpoint.Position, names, versions, skipped}
}

func first(samples []string) []string { return samples[:min(len(samples), maxSamples)] }
