package verify

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// followed is a database that was verified at one position and followed from there.
type followed struct {
	*built
	verified int64
}

// follow applies the events up to a position.
func (b *built) follow(until int64) {
	b.t.Helper()
	_, err := projection.Follow(b.t.Context(), projection.Options{Source: b.source, Database: b.database, NewModel: b.edition.Model, Until: until})
	must(b.t, err)
}

// tailOf builds a database of which the last events came after its verification.
func tailOf(t *testing.T, version string, verified, events int) *followed {
	t.Helper()
	f := &followed{built: buildVersion(t, version, 0), verified: int64(verified)}
	must(t, library.Generate(t.Context(), f.connect(f.source), f.log, events, 42, nil))
	f.follow(f.verified)
	_, err := f.verify()
	must(t, err)
	f.follow(int64(events))
	return f
}

func (b *built) auditFrom(after int64) (Evidence, error) {
	b.t.Helper()
	database, source := b.connect(b.database), b.connect(b.source)
	defer closing(database)
	defer closing(source)
	return Audit(b.t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log, Build: "build"}, after)
}

func TestSoundTailPasses(t *testing.T) {
	for _, version := range []string{"3.1.2", "3.2.0"} {
		f := tailOf(t, version, 3600, generated)
		evidence, err := f.auditFrom(f.verified)
		suite.sound("a tail, of "+version, err)
		if err != nil || !evidence.Passed || evidence.Position != generated || evidence.After != 3600 || evidence.Events != 400 || evidence.Build != "build" {
			t.Errorf("%v: %+v", err, evidence)
		}
		if evidence.check(auditedWhole).Unit != "" {
			t.Errorf("an ordinary tail had everything verified: %v", evidence.check(auditedWhole).Samples)
		}
		whole, err := f.auditFrom(0)
		suite.sound("a tail that is all, of "+version, err)
		if err != nil || whole.Events != generated {
			t.Errorf("%v: %+v", err, whole)
		}
		none, err := f.auditFrom(generated)
		suite.sound("a tail without events, of "+version, err)
		if err != nil || none.Events != 0 || none.Position != generated {
			t.Errorf("%v: %+v", err, none)
		}
		if _, err := f.auditFrom(generated + 1); err == nil {
			t.Error("a database that is behind was audited")
		}
	}
}

// TestSoundOddTailsPass cuts logs in which next to nothing fits into tails.
func TestSoundOddTailsPass(t *testing.T) {
	for name, prepare := range map[string]func([]eventlog.NewEvent) []eventlog.NewEvent{"odd": same, "odd without namesakes": withoutNamesakes} {
		for _, version := range []string{"3.1.2", "3.2.0"} {
			seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
			random := rand.New(rand.NewPCG(seed, 1))
			b := buildVersion(t, version, 0)
			_, err := b.log.Append(t.Context(), b.connect(b.source), prepare(oddLog(random, 1500))...)
			must(t, err)
			for position := int64(0); position < 1500; {
				after := position
				position = min(1500, position+1+random.Int64N(120))
				b.follow(position)
				evidence, err := b.auditFrom(after)
				suite.sound(name+" tail, of "+version, err)
				if err != nil || evidence.Position != position {
					t.Fatalf("%s, edition %s, seed %d, from %d to %d: %v", name, version, seed, after, position, err)
				}
			}
		}
	}
}

func same(events []eventlog.NewEvent) []eventlog.NewEvent { return events }

var id = regexp.MustCompile(`"id":"(.{24})0`)

// withoutNamesakes gives albums other ids than reciters have.
func withoutNamesakes(events []eventlog.NewEvent) []eventlog.NewEvent {
	for i, e := range events {
		if strings.HasPrefix(e.Name, "Album") {
			events[i].Payload = id.ReplaceAll(e.Payload, []byte(`"id":"${1}f`))
		}
	}
	return events
}

// Times that are all the same tell nothing of the order; the audit then
// verifies everything rather than to raise an alarm, or to pass over damage.
func TestSoundTailOfEqualTimesPasses(t *testing.T) {
	b := buildVersion(t, "3.2.0", 0)
	source := b.connect(b.source)
	must(t, library.Generate(t.Context(), source, b.log, 1000, 7, nil))
	postgres.Exec(t, nameOf(b.source), "UPDATE events SET recorded_at = '2026-01-01Z'")
	b.follow(800)
	b.follow(1000)
	evidence, err := b.auditFrom(800)
	suite.sound("a tail of equal times", err)
	if err != nil || !evidence.check(auditedWhole).Passed {
		t.Fatalf("%v: %+v", err, evidence)
	}
	b.damage("INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions WHERE (entity, version) = (SELECT 'album:' || id, revision FROM albums ORDER BY id LIMIT 1)",
		"UPDATE albums SET revision = revision + 1 WHERE id = (SELECT id FROM albums ORDER BY id LIMIT 1)")
	if _, err := b.auditFrom(0); err == nil {
		t.Error("damage was passed over")
	}
}

// chosen are ids of what the tail did something to, for damage to be done to.
func (f *followed) chosen(t *testing.T) *strings.Replacer {
	t.Helper()
	source, database := f.connect(f.source), f.connect(f.database)
	pick := func(event, condition string) string {
		rows, err := source.Query(t.Context(), "SELECT payload->>'id' FROM events WHERE position > $1 GROUP BY 1 HAVING count(*) = 1 AND min(name) = $2", f.verified, event)
		must(t, err)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		var id string
		must(t, database.QueryRow(t.Context(), "SELECT id FROM unnest($1::uuid[]) AS w(id) WHERE "+condition+" ORDER BY 1 LIMIT 1", ids).Scan(&id))
		return "'" + id + "'"
	}
	var event, before string
	must(t, source.QueryRow(t.Context(), "SELECT id::text FROM events WHERE position > $1 AND name = 'AlbumModified' ORDER BY position LIMIT 1", f.verified).Scan(&event))
	must(t, source.QueryRow(t.Context(), "SELECT id::text FROM events WHERE position = $1", f.verified).Scan(&before))
	changed := "EXISTS (SELECT FROM albums a WHERE a.id = w.id AND a.revision > 2)"
	return strings.NewReplacer("$EVENT", "'"+event+"'", "$BEFORE", "'"+before+"'",
		"$RECITER", pick("ReciterModified", "EXISTS (SELECT FROM reciters r WHERE r.id = w.id)"),
		"$ALBUM", pick("AlbumModified", changed),
		"$NEW", pick("AlbumCreated", "EXISTS (SELECT FROM albums a WHERE a.id = w.id)"),
		"$DEAD", pick("AlbumDeleted", "EXISTS (SELECT FROM tombstones a WHERE a.id = w.id)"),
		"$GONE", pick("ReciterDeleted", "EXISTS (SELECT FROM tombstones a WHERE a.id = w.id)"))
}

const (
	lastOfAlbum = " WHERE (entity, version) = (SELECT 'album:' || id, revision FROM albums WHERE id = $ALBUM)"
	oneBackRow  = "UPDATE albums a SET revision = revision - 1, title = content->>'title', year = content->>'year', artwork = content->>'artwork'," +
		" updated_at = (content->>'updated_at')::timestamptz FROM revisions r WHERE a.id = $ALBUM AND r.entity = 'album:' || a.id AND r.version = a.revision - 1;"
)

// What is done wrong after the verification is the audit's to catch: at the
// verified position everything was right.
func TestMutantsOfATail(t *testing.T) {
	f := tailOf(t, "3.2.0", 3000, generated)
	ids := f.chosen(t)
	for _, d := range []damage{
		{name: "in the tail, an event not handled by one projector", check: auditedEvents, statement: "DELETE FROM projected_events WHERE projector = 'albums' AND event_id = $EVENT"},
		{name: "in the tail, an event not handled by any", check: auditedEvents, statement: "DELETE FROM projected_events WHERE event_id = $EVENT"},
		{name: "in the tail, an event handled by a stranger", check: auditedEvents, statement: "INSERT INTO projected_events VALUES (gen_random_uuid(), $EVENT, 'other', now())"},
		{name: "in the tail, another event in the books", check: auditedEvents, statement: "UPDATE projected_events SET event_id = gen_random_uuid() WHERE projector = 'albums' AND event_id = $EVENT"},
		{name: "in the tail, all books lost", check: auditedEvents, statement: "TRUNCATE projected_events"},
		{name: "before the tail, an event that came late", check: auditedEvents, log: "DELETE FROM events WHERE position = 2900;" +
			"INSERT INTO events (position, id, name, payload) OVERRIDING SYSTEM VALUE VALUES (2900, gen_random_uuid(), 'ReciterDeleted', jsonb_build_object('id', gen_random_uuid()))"},
		{name: "in the tail, an event that came late", check: auditedEvents, log: "DELETE FROM events WHERE position = 3500;" +
			"INSERT INTO events (position, id, name, payload) OVERRIDING SYSTEM VALUE VALUES (3500, gen_random_uuid(), 'ReciterDeleted', jsonb_build_object('id', gen_random_uuid()))"},
		{name: "in the tail, an event of an unknown kind", check: auditedEvents, log: "UPDATE events SET version = 9 WHERE id = $EVENT"},
		{name: "in the tail, an event with another payload", check: "audit:albums", log: `UPDATE events SET payload = jsonb_set(payload, '{attributes}', '{"title": "x", "year": "y"}') WHERE position =
			(SELECT max(position) FROM events WHERE name = 'AlbumModified' AND payload->>'id' = $ALBUM)`},
		{name: "in the tail, an event with another time", check: "audit:albums", log: "UPDATE events SET recorded_at = recorded_at + interval '1 s' WHERE position = (SELECT max(position) FROM events WHERE payload->>'id' = $ALBUM)"},
		{name: "in the tail, a checkpoint that is ahead", check: "checkpoint", statement: "UPDATE checkpoint SET position = position + 1"},
		{name: "in the tail, another log's end", check: "checkpoint", statement: "UPDATE checkpoint SET tail = jsonb_set(tail, '{-1,id}', to_jsonb(gen_random_uuid()))"},
		{name: "in the tail, an index that is lost", check: "indexes", statement: "DROP INDEX reciters_lower_name_idx"},
		{name: "in the tail, a migration too much", check: "schema", statement: "UPDATE schema_version SET version = version + 1"},
		{name: "in the tail, an album's row not changed", check: "audit:albums", statement: oneBackRow},
		{name: "in the tail, an event not applied", check: "audit:albums", statement: "DELETE FROM revisions" + lastOfAlbum + ";" + oneBackRow},
		{name: "in the tail, an event applied twice", check: "albums-content", statement: "INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, created_at FROM revisions" + lastOfAlbum +
			"; UPDATE albums SET revision = revision + 1 WHERE id = $ALBUM"},
		{name: "in the tail, an event applied to another album as well", check: "albums-content", statement: "UPDATE revisions SET version = version + 1" + lastOfAlbum + ";" +
			"INSERT INTO revisions SELECT gen_random_uuid(), entity, version + 1, content, (SELECT max(created_at) FROM revisions WHERE entity = 'album:' || $NEW) FROM revisions WHERE (entity, version) =" +
			" (SELECT 'album:' || id, revision - 1 FROM albums WHERE id = $ALBUM); UPDATE albums SET revision = revision + 1 WHERE id = $ALBUM"},
		{name: "in the tail, a revision missing in the middle", check: "audit:albums", statement: "UPDATE revisions SET version = version + 1" + lastOfAlbum + "; UPDATE albums SET revision = revision + 1 WHERE id = $ALBUM"},
		{name: "in the tail, a revision with a wrong content", check: "audit:albums", statement: `UPDATE revisions SET content = jsonb_set(content::jsonb, '{title}', '"x"')` + lastOfAlbum + "; UPDATE albums SET title = 'x' WHERE id = $ALBUM"},
		{name: "in the tail, a revision of a wrong time", check: "audit:albums", statement: "UPDATE revisions SET created_at = created_at + interval '1 s'" + lastOfAlbum},
		{name: "in the tail, a reciter's name changed", check: "audit:reciters", statement: "UPDATE reciters SET name = name || '.' WHERE id = $RECITER"},
		{name: "in the tail, a reciter's slug changed", check: "audit:reciters", statement: "UPDATE reciters SET slug = slug || '-' WHERE id = $RECITER"},
		{name: "in the tail, a reciter lost", check: "audit:reciters", statement: "DELETE FROM reciters WHERE id = $RECITER"},
		{name: "in the tail, an album that never came", check: "audit:albums", statement: "DELETE FROM albums WHERE id = $NEW; DELETE FROM shelved_albums WHERE id = $NEW; DELETE FROM revisions WHERE entity = 'album:' || $NEW"},
		{name: "in the tail, an album moved to another reciter", check: "audit:albums", statement: "UPDATE albums SET reciter_id = $RECITER WHERE id = $NEW;" +
			"UPDATE revisions SET content = jsonb_set(content::jsonb, '{reciter_id}', to_jsonb($RECITER::text)) WHERE entity = 'album:' || $NEW"},
		{name: "in the tail, an album that lost its reciter", check: "audit:albums", statement: "UPDATE revisions SET content = (content::jsonb - 'reciter_id')" + lastOfAlbum},
		{name: "in the tail, a deletion forgotten", check: "audit:albums", statement: "DELETE FROM tombstones WHERE id = $DEAD; INSERT INTO albums SELECT split_part(entity, ':', 2)::uuid, (content->>'reciter_id')::uuid, content->>'title', content->>'year'," +
			" content->>'artwork', version - 1, (content->>'created_at')::timestamptz, (content->>'updated_at')::timestamptz FROM revisions WHERE entity = 'album:' || $DEAD ORDER BY version DESC LIMIT 1;" +
			"DELETE FROM revisions r WHERE entity = 'album:' || $DEAD AND version = (SELECT max(version) FROM revisions WHERE entity = r.entity)"},
		{name: "in the tail, a deletion without a tombstone", check: "audit:albums", statement: "DELETE FROM tombstones WHERE id = $DEAD"},
		{name: "in the tail, a tombstone of a living one", check: "audit:albums", statement: "INSERT INTO tombstones VALUES ($ALBUM, now())"},
		{name: "in the tail, a deleted reciter's album kept", check: "audit:reciters", statement: "UPDATE albums SET reciter_id = $GONE WHERE id = (SELECT min(id::text)::uuid FROM albums WHERE id NOT IN ($ALBUM, $NEW))"},
		{name: "in the tail, a deleted reciter that is back", check: "audit:reciters", statement: "INSERT INTO reciters VALUES ($GONE, 'x', 'x--x', NULL, NULL, 1, now(), now())"},
		{name: "in the tail, an album not on its shelf", check: "audit:albums", statement: "DELETE FROM shelved_albums WHERE id = $NEW"},
		{name: "in the tail, a shelf that miscounts", check: "audit:albums", statement: "UPDATE shelves SET albums = albums + 1 WHERE id = (SELECT reciter_id FROM albums WHERE id = $NEW)"},
		{name: "in the tail, a table that is lost", check: "audit:albums", statement: "DROP TABLE shelved_albums"},
	} {
		d.statement, d.log = ids.Replace(d.statement), ids.Replace(d.log)
		t.Run(d.name, func(t *testing.T) { f.catchesInTail(t, d) })
	}
}

func (f *followed) catchesInTail(t *testing.T, d damage) {
	t.Helper()
	evidence, err := f.damaged(t, d, func(ctx context.Context, o Options, database, source pgx.Tx) (Evidence, error) {
		return auditIn(ctx, o, f.verified, database, source)
	})
	var failed *FailedError
	check := evidence.check(d.check)
	caught := errors.As(err, &failed) && !evidence.Passed && !check.Passed && check.Faults > 0 && check.Detail != ""
	suite.tried(d.name, caught)
	if !caught {
		t.Errorf("%s did not catch it: %v", d.check, err)
	}
	if len(check.Samples) > maxSamples {
		t.Errorf("%d samples", len(check.Samples))
	}
}
