package library_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

func ptr(s string) *string { return &s }

func TestTheLifeOfAReciter(t *testing.T) {
	w := newWorld(t)
	id := uuid.New()
	w.happen(must(library.NewReciterCreated(id, library.ReciterAttributes{Name: "Nadeem Sarwar", Description: ptr("Karachi")})))
	w.happen(must(library.NewReciterModified(id, library.Changes{"description": nil, "name": ptr("ندیم سرور")})),
		must(library.NewReciterAvatarUploaded(id, "avatars/1.jpg")))

	w.want("ندیم سرور|ندیم-سرور|-|avatars/1.jpg", "SELECT concat_ws('|', name, slug, coalesce(description, '-'), avatar) FROM reciters WHERE id = $1", id)
	w.want("3", "SELECT count(*) FROM revisions WHERE entity = 'reciter:' || $1", id.String())
	w.want("Karachi", "SELECT content ->> 'description' FROM revisions WHERE version = 1 AND entity = 'reciter:' || $1", id.String())
	w.want("-", "SELECT content ->> 'description' FROM revisions WHERE version = 2 AND entity = 'reciter:' || $1", id.String())

	w.happen(must(library.NewReciterDeleted(id)))
	w.want("0", "SELECT count(*) FROM reciters")
	w.want("true avatars/1.jpg", "SELECT concat(content ->> 'deleted', ' ', content ->> 'avatar') FROM revisions WHERE version = 4 AND entity = 'reciter:' || $1", id.String())
}

func TestTimesAreThoseOfTheEvents(t *testing.T) {
	w := newWorld(t)
	id := uuid.New()
	w.happen(must(library.NewReciterCreated(id, library.ReciterAttributes{Name: "A"})))
	w.happen(must(library.NewReciterModified(id, library.Changes{"description": ptr("b")})))
	var first, second string
	for position, at := range map[int]*string{1: &first, 2: &second} {
		if err := w.log.QueryRow(t.Context(), "SELECT recorded_at::text FROM events WHERE position = $1", position).Scan(at); err != nil {
			t.Fatal(err)
		}
	}
	w.want(first+" "+second, "SELECT created_at::text || ' ' || updated_at::text FROM reciters")
	w.want(second, "SELECT created_at FROM revisions WHERE version = 2")
}

func TestAReciterTakesItsAlbumsAlong(t *testing.T) {
	w := newWorld(t)
	reciter, other := uuid.New(), uuid.New()
	kept, old, young := uuid.New(), uuid.New(), uuid.New()
	w.happen(must(library.NewReciterCreated(reciter, library.ReciterAttributes{Name: "A"})),
		must(library.NewReciterCreated(other, library.ReciterAttributes{Name: "B"})),
		must(library.NewAlbumCreated(kept, other, library.AlbumAttributes{Title: "K", Year: "1999"})),
		must(library.NewAlbumCreated(old, reciter, library.AlbumAttributes{Title: "O", Year: "2000"})))
	// One album is in the database by now, the other only in the chunk at work.
	result := w.happen(must(library.NewAlbumCreated(young, reciter, library.AlbumAttributes{Title: "Y", Year: "2001"})),
		must(library.NewReciterDeleted(reciter)),
		must(library.NewAlbumModified(old, library.Changes{"title": ptr("late")})))

	w.want(kept.String(), "SELECT string_agg(id::text, ',') FROM albums")
	for _, album := range []uuid.UUID{old, young} {
		w.want("true", "SELECT content ->> 'deleted' FROM revisions WHERE version = 2 AND entity = 'album:' || $1", album.String())
	}
	if result.Outcomes["albums"][library.UnknownAlbum] != 1 {
		t.Errorf("outcomes %v, want one edit of an unknown album", result.Outcomes)
	}
	w.want("3", "SELECT count(*) FROM projected_events p WHERE event_id = (SELECT event_id FROM projected_events GROUP BY event_id HAVING count(*) = 3)")
}

// Every race has its outcome: what the row is afterwards, and how it is counted.
func TestRaces(t *testing.T) {
	w := newWorld(t)
	a, b, gone, album := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	w.happen(must(library.NewReciterCreated(a, library.ReciterAttributes{Name: "Ali"})),
		must(library.NewReciterCreated(gone, library.ReciterAttributes{Name: "Gone"})),
		must(library.NewReciterDeleted(gone)),
		must(library.NewAlbumCreated(album, a, library.AlbumAttributes{Title: "T", Year: "2000"})))

	outcome := func(projector string, want projection.Outcome, r projection.Result) {
		t.Helper()
		if len(r.Outcomes) != 1 || r.Outcomes[projector][want] != 1 {
			t.Errorf("outcomes %v, want one %s of %s", r.Outcomes, want, projector)
		}
	}
	outcome("reciters", library.UnknownReciter, w.happen(must(library.NewReciterModified(gone, library.Changes{"name": ptr("x")}))))
	outcome("reciters", library.UnknownReciter, w.happen(must(library.NewReciterDeleted(gone))))
	outcome("reciters", library.UnknownReciter, w.happen(must(library.NewReciterAvatarUploaded(gone, "x"))))
	outcome("reciters", library.DeletedBefore, w.happen(must(library.NewReciterCreated(gone, library.ReciterAttributes{Name: "Again"}))))
	outcome("reciters", library.AlreadyExists, w.happen(must(library.NewReciterCreated(a, library.ReciterAttributes{Name: "Twice"}))))
	outcome("reciters", library.RequiredKept, w.happen(must(library.NewReciterModified(a, library.Changes{"name": nil}))))
	outcome("reciters", library.NameClash, w.happen(must(library.NewReciterCreated(b, library.ReciterAttributes{Name: "ALI"}))))
	outcome("albums", library.UnknownReciter, w.happen(must(library.NewAlbumCreated(uuid.New(), gone, library.AlbumAttributes{Title: "T", Year: "2000"}))))
	outcome("albums", library.AlreadyExists, w.happen(must(library.NewAlbumCreated(album, a, library.AlbumAttributes{Title: "U", Year: "2001"}))))
	outcome("albums", library.RequiredKept, w.happen(must(library.NewAlbumModified(album, library.Changes{"title": nil, "year": ptr("2010")}))))
	outcome("albums", library.UnknownAlbum, w.happen(must(library.NewAlbumArtworkUploaded(uuid.New(), "x"))))
	outcome("albums", library.UnknownAlbum, w.happen(must(library.NewAlbumDeleted(uuid.New()))))

	w.want("Ali|ali,ALI|ali--"+b.String()[:8], "SELECT string_agg(name || '|' || slug, ',' ORDER BY slug) FROM reciters")
	w.want("T 2010", "SELECT title || ' ' || year FROM albums WHERE id = $1", album)
	w.want("3", "SELECT events FROM outcomes WHERE projector = 'reciters' AND outcome = 'unknown-reciter'")
	w.want("t", "SELECT (count(*) = count(DISTINCT (event_id, projector)))::text::char FROM projected_events")
}

// The slugs cross in one transaction, which a unique key checked row by row
// would refuse.
func TestTwoRecitersExchangeTheirNames(t *testing.T) {
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	w.happen(must(library.NewReciterCreated(a, library.ReciterAttributes{Name: "One"})),
		must(library.NewReciterCreated(b, library.ReciterAttributes{Name: "Two"})))
	w.happen(must(library.NewReciterModified(a, library.Changes{"name": ptr("Three")})),
		must(library.NewReciterModified(b, library.Changes{"name": ptr("One")})),
		must(library.NewReciterModified(a, library.Changes{"name": ptr("Two")})))
	w.want("two", "SELECT slug FROM reciters WHERE id = $1", a)
	w.want("one", "SELECT slug FROM reciters WHERE id = $1", b)
}

func TestASlugIsFreeAgainWhenItsReciterIsGone(t *testing.T) {
	w := newWorld(t)
	a, b, c := uuid.New(), uuid.New(), uuid.New()
	w.happen(must(library.NewReciterCreated(a, library.ReciterAttributes{Name: "One"})),
		must(library.NewReciterCreated(b, library.ReciterAttributes{Name: "One"})),
		must(library.NewReciterDeleted(a)),
		must(library.NewReciterCreated(c, library.ReciterAttributes{Name: "One"})))
	w.want("one--"+b.String()[:8], "SELECT slug FROM reciters WHERE id = $1", b)
	w.want("one", "SELECT slug FROM reciters WHERE id = $1", c)
}
