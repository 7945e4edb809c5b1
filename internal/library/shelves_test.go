package library_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// build replays the log into a new database of a version.
func build(t *testing.T, logURL, version string, chunk int) *world {
	t.Helper()
	e, err := library.EditionOf(version)
	if err != nil {
		t.Fatal(err)
	}
	to := server.Database(t)
	w := &world{TB: t, log: connect(t, logURL), library: connect(t, to),
		options: projection.Options{Source: logURL, Database: to, NewModel: e.Model, ChunkEvents: chunk}}
	if err := library.Migrate(t.Context(), w.library, e); err != nil {
		t.Fatal(err)
	}
	if _, err := projection.Replay(t.Context(), w.options); err != nil {
		t.Fatal(err)
	}
	return w
}

func aLog(t *testing.T, events int, seed uint64) string {
	t.Helper()
	url := server.Database(t)
	conn := connect(t, url)
	if err := log.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := library.Generate(t.Context(), conn, log, events, seed, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return url
}

func hash(t *testing.T, w *world) projection.Hash {
	t.Helper()
	h, err := projection.ContentHash(t.Context(), w.library)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheNextEditionAddsShelvesAndChangesNothingElse(t *testing.T) {
	url := aLog(t, 5000, 11)
	old, whole, small := build(t, url, "3.1.2", 0), build(t, url, "3.2.0", 0), build(t, url, "3.2.0", 7)

	if a, b := hash(t, whole), hash(t, small); a.String() != b.String() {
		t.Errorf("chunks of another size give other content:\n%v\n%v", a.Tables, b.Tables)
	}
	before, after := hash(t, old), hash(t, whole)
	for _, table := range []string{"reciters", "albums", "revisions", "tombstones"} {
		if before.Tables[table] == "" || before.Tables[table] != after.Tables[table] {
			t.Errorf("table %s differs between the editions", table)
		}
	}
	whole.want("0", "SELECT count(*) FROM albums a FULL JOIN shelved_albums s USING (id) WHERE a.reciter_id IS DISTINCT FROM s.reciter_id")
	whole.want("0", `SELECT count(*) FROM (SELECT reciter_id AS id, count(*) AS n FROM albums GROUP BY 1) a
		FULL JOIN shelves s USING (id) WHERE a.n IS DISTINCT FROM s.albums`)
	whole.want("0", "SELECT count(*) FROM (SELECT FROM shelved_albums GROUP BY reciter_id, slug HAVING count(*) > 1) x")
	if whole.text("SELECT count(*) > 100 FROM shelved_albums") != "true" {
		t.Error("the log has too few albums to say anything")
	}
}

func TestSlugsOnAShelf(t *testing.T) {
	w := build(t, aLog(t, 0, 1), "3.2.0", 0)
	reciter, other, first, second := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	w.happen(must(library.NewReciterCreated(reciter, library.ReciterAttributes{Name: "A"})),
		must(library.NewReciterCreated(other, library.ReciterAttributes{Name: "B"})),
		must(library.NewAlbumCreated(first, reciter, library.AlbumAttributes{Title: "Karbala", Year: "2001"})),
		must(library.NewAlbumCreated(second, reciter, library.AlbumAttributes{Title: "Karbala", Year: "2002"})),
		must(library.NewAlbumCreated(uuid.New(), other, library.AlbumAttributes{Title: "Karbala", Year: "2002"})))
	const slug = "SELECT slug FROM shelved_albums WHERE id = $1"
	w.want("karbala", slug, first)
	w.want("karbala--"+second.String()[:8], slug, second)
	w.want("1", "SELECT count(*) FROM shelved_albums WHERE reciter_id = $1 AND slug = 'karbala'", other)
	w.want("2", "SELECT albums FROM shelves WHERE id = $1", reciter)

	// A title frees its slug for whoever asks next, not for those who asked before.
	w.happen(must(library.NewAlbumModified(first, library.Changes{"title": ptr("Kufa")})))
	w.want("kufa", slug, first)
	w.want("karbala--"+second.String()[:8], slug, second)
	w.happen(must(library.NewAlbumModified(second, library.Changes{"title": ptr("Karbala")})))
	w.want("karbala", slug, second)

	w.happen(must(library.NewAlbumDeleted(first)))
	w.want("1", "SELECT albums FROM shelves WHERE id = $1", reciter)
	w.happen(must(library.NewReciterDeleted(reciter)))
	w.want("-", "SELECT albums FROM shelves WHERE id = $1", reciter)
	w.want("0", "SELECT count(*) FROM shelved_albums WHERE reciter_id = $1", reciter)
	w.want("1", "SELECT albums FROM shelves WHERE id = $1", other)
}
