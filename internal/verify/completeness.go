package verify

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// digest turns an id into a number such that sums of digests tell sets apart.
// Postgres' own hash is quick, but may be another one on another server.
type digest string

const (
	quickDigest   digest = "uuid_hash_extended(%s::uuid, 0)"
	certainDigest digest = "('x' || left(md5(%s::text), 16))::bit(64)::bigint"
)

func (d digest) of(id string) string { return fmt.Sprintf(string(d), id) }

// chooseDigest takes the quick one if both servers agree on it.
func (in *inspection) chooseDigest(ctx context.Context) error {
	var here, there int64
	for tx, probe := range map[pgx.Tx]*int64{in.database: &here, in.source: &there} {
		if err := tx.QueryRow(ctx, "SELECT "+quickDigest.of("'6f1ed002-ab59-4d2f-8a31-9d6b6a0f2a5e'")).Scan(probe); err != nil {
			return fmt.Errorf("try how the servers hash: %w", err)
		}
	}
	if in.digest = quickDigest; here != there {
		in.digest = certainDigest
	}
	return nil
}

// tally is a number of events and the sum of their ids' digests.
type tally struct {
	count int64
	sum   big.Int
}

func (t *tally) add(other *tally) {
	t.count += other.count
	t.sum.Add(&t.sum, &other.sum)
}

func (t *tally) equal(other *tally) bool { return t.count == other.count && t.sum.Cmp(&other.sum) == 0 }

// logSummary is the log up to the position in numbers, by kind. It is made in
// one pass; skipped are the events in it that were passed over on request.
type logSummary struct {
	all, kept                      map[projection.Kind]*tally
	skipped                        []uuid.UUID
	refusedReciters, refusedAlbums []uuid.UUID
}

// readSkipped finds out what was passed over, and how to sum up the rest.
func (in *inspection) readSkipped(ctx context.Context) error {
	if err := in.chooseDigest(ctx); err != nil {
		return err
	}
	rows, err := in.database.Query(ctx, "SELECT event_id FROM skipped_events")
	if err != nil {
		return fmt.Errorf("read which events were skipped: %w", err)
	}
	if in.log.skipped, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return fmt.Errorf("read which events were skipped: %w", err)
	}
	return nil
}

func (in *inspection) summariseLog(ctx context.Context, source pgx.Tx) (err error) {
	if in.log.all, err = in.kinds(ctx, source, "true"); err != nil {
		return fmt.Errorf("sum up the log: %w", err)
	}
	var without map[projection.Kind]*tally
	if len(in.log.skipped) > 0 {
		if without, err = in.kinds(ctx, source, "e.id = ANY ($2::uuid[])", in.log.skipped); err != nil {
			return fmt.Errorf("sum up the skipped events: %w", err)
		}
	}
	in.log.kept = map[projection.Kind]*tally{}
	var whole tally
	for kind, t := range in.log.all {
		whole.add(t)
		kept := &tally{count: t.count}
		kept.sum.Set(&t.sum)
		if skipped := without[kind]; skipped != nil {
			kept.count -= skipped.count
			kept.sum.Sub(&kept.sum, &skipped.sum)
		}
		if kept.count > 0 {
			in.log.kept[kind] = kept
		}
	}
	in.evidence.Events, in.evidence.EventsHash = whole.count, whole.sum.Text(16)
	return nil
}

// kinds sums up the events of the log that meet a condition, by kind.
func (in *inspection) kinds(ctx context.Context, source pgx.Tx, condition string, args ...any) (map[projection.Kind]*tally, error) {
	rows, err := source.Query(ctx, fmt.Sprintf("SELECT e.name, e.version, count(*), sum(%s)::text FROM %s e WHERE e.position <= $1 AND %s GROUP BY 1, 2",
		in.digest.of("e.id"), in.events(), condition), append([]any{in.checkpoint.Position}, args...)...)
	if err != nil {
		return nil, err
	}
	found := map[projection.Kind]*tally{}
	var kind projection.Kind
	var count int64
	var sum string
	_, err = pgx.ForEachRow(rows, []any{&kind.Name, &kind.Version, &count, &sum}, func() error {
		found[kind], err = newTally(count, sum)
		return err
	})
	return found, err
}

func newTally(count int64, sum string) (*tally, error) {
	t := &tally{count: count}
	if _, ok := t.sum.SetString(sum, 10); !ok {
		return nil, fmt.Errorf("read the sum of digests %q", sum)
	}
	return t, nil
}

// events is the log with the names of the default table, whatever they are in
// its description.
func (in *inspection) events() string { return in.Log.Rows() }

// checkEventsKnown: every kind of event in the log is handled or knowingly
// ignored by this edition.
func checkEventsKnown(_ context.Context, in *inspection) (Check, error) {
	var strange []string
	for kind := range in.log.kept {
		if projectors, ignored := useOf(in.model, kind); len(projectors) == 0 && !ignored {
			strange = append(strange, kind.String())
		}
	}
	if len(strange) == 0 {
		return pass(int64(len(in.log.all)), "kinds"), nil
	}
	slices.Sort(strange)
	return fail(int64(len(in.log.all)), "kinds", int64(len(strange)), first(strange), "the log has kinds of events that this edition does not know"), nil
}

// checkCompleteness: each projector has handled exactly the events of its kinds
// up to the position, but for those that were passed over on request.
func checkCompleteness(ctx context.Context, in *inspection) (Check, error) {
	found := maps.Clone(in.handledBy)
	if found == nil {
		var err error
		if found, err = in.projected(ctx, in.database); err != nil {
			return Check{}, err
		}
	}
	var total, faults int64
	var noted, details []string
	for _, projector := range in.model.Projectors {
		want := in.handled(projector)
		total += want.count
		got := found[projector.Name()]
		delete(found, projector.Name())
		if got == nil {
			got = &tally{}
		}
		if got.equal(want) {
			continue
		}
		missing, extra, keys, err := in.difference(ctx, projector)
		if err != nil {
			return Check{}, err
		}
		faults += max(missing+extra, 1)
		noted = append(noted, keys...)
		details = append(details, fmt.Sprintf("projector %s has handled %d events instead of %d: %d missing, %d too many",
			projector.Name(), got.count, want.count, missing, extra))
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		faults += found[name].count
		details = append(details, fmt.Sprintf("projector %s is none of this edition's and has handled %d events", name, found[name].count))
	}
	if faults > 0 {
		return fail(total, "events handled", faults, first(noted), "%s", strings.Join(details, "; ")), nil
	}
	return pass(total, "events handled"), nil
}

// projected sums up the events that each projector has handled.
func (in *inspection) projected(ctx context.Context, database pgx.Tx) (map[string]*tally, error) {
	rows, err := database.Query(ctx, fmt.Sprintf("SELECT projector, count(*), sum(%s)::text FROM projected_events GROUP BY 1", in.digest.of("event_id")))
	if err != nil {
		return nil, err
	}
	found := map[string]*tally{}
	var projector, sum string
	var count int64
	_, err = pgx.ForEachRow(rows, []any{&projector, &count, &sum}, func() error {
		found[projector], err = newTally(count, sum)
		return err
	})
	return found, err
}

// handled sums up what a projector should have handled.
func (in *inspection) handled(projector projection.Projector) *tally {
	var t tally
	for _, kind := range projector.Handles() {
		if kept := in.log.kept[kind]; kept != nil {
			t.add(kept)
		}
	}
	return &t
}

// skipped are the events that were passed over, never null.
func (in *inspection) skipped() []uuid.UUID {
	if in.log.skipped == nil {
		return []uuid.UUID{}
	}
	return in.log.skipped
}

func first(noted []string) []string { return noted[:min(len(noted), maxSamples)] }
