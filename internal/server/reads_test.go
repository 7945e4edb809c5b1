package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestRecitersAreListedByNameInPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"Nadeem", "Ali", "Farhan"} {
		w.reciter(name, strings.ToLower(name))
	}
	w.reach(7)

	var names []string
	for page := 1; page <= 3; page++ {
		r := w.expect(200, "GET", "/v1/reciters?per_page=1&page="+string(rune('0'+page)), "")
		if r.body["total"] != 3.0 || r.header.Get("Nawhas-Position") != "7" {
			t.Errorf("page %d: total %v at position %s", page, r.body["total"], r.header.Get("Nawhas-Position"))
		}
		names = append(names, r.body["items"].([]any)[0].(map[string]any)["name"].(string))
	}
	if !slices.Equal(names, []string{"Ali", "Farhan", "Nadeem"}) {
		t.Errorf("listed %v", names)
	}
	if r := w.expect(200, "GET", "/v1/reciters?page=9", ""); len(r.body["items"].([]any)) != 0 {
		t.Errorf("the page after the last is %s", r.raw)
	}
	for _, query := range []string{"page=0", "per_page=0", "per_page=101", "page=x", "page=-1", "page=99999999999999999999"} {
		w.expect(422, "GET", "/v1/reciters?"+query, "")
	}
}

func TestAReciterIsReadByIDAndBySlug(t *testing.T) {
	w := newWorld(t)
	id := w.reciter("Nadeem Sarwar", "nadeem-sarwar")
	for _, path := range []string{id.String(), "nadeem-sarwar"} {
		r := w.expect(200, "GET", "/v1/reciters/"+path, "")
		if r.body["id"] != id.String() || r.body["name"] != "Nadeem Sarwar" || r.body["description"] != "about" || r.body["avatar"] != nil {
			t.Errorf("read %s", r.raw)
		}
	}
	w.expect(404, "GET", "/v1/reciters/"+uuid.NewString(), "")
	w.expect(404, "GET", "/v1/reciters/nobody", "")
	for _, odd := range []string{"%00", "%ff", "..%2f..", "%27%20OR%201=1", id.String() + "0"} {
		w.expect(404, "GET", "/v1/reciters/"+odd, "")
	}
}

func TestAlbumsAreListedNewestYearFirst(t *testing.T) {
	w := newWorld(t)
	reciter, other := w.reciter("Nadeem", "nadeem"), w.reciter("Ali", "ali")
	w.album(reciter, "Old", "1998")
	newest := w.album(reciter, "New", "2020")
	w.album(other, "Elsewhere", "2024")

	r := w.expect(200, "GET", "/v1/reciters/nadeem/albums", "")
	items := r.body["items"].([]any)
	if len(items) != 2 || items[0].(map[string]any)["title"] != "New" || r.body["total"] != 2.0 {
		t.Errorf("listed %s", r.raw)
	}
	if r := w.expect(200, "GET", "/v1/reciters/nadeem/albums/"+newest.String(), ""); r.body["reciterId"] != reciter.String() {
		t.Errorf("read %s", r.raw)
	}
	w.expect(404, "GET", "/v1/reciters/ali/albums/"+newest.String(), "")
	w.expect(404, "GET", "/v1/reciters/nobody/albums", "")
	w.expect(404, "GET", "/v1/reciters/nadeem/albums/not-an-id", "")
}

func TestAlbumsHaveSlugsAndAreCountedSince320(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Version, o.Shelves = "3.2.0", true })
	reciter := w.reciter("Nadeem", "nadeem")
	w.reciter("Ali", "ali")
	album := w.album(reciter, "Old", "1998")
	postgres.Exec(t, nameOf(w.database), "INSERT INTO shelves (id, albums) VALUES ('"+reciter.String()+"', 1)",
		"INSERT INTO shelved_albums (id, reciter_id, slug) VALUES ('"+album.String()+"', '"+reciter.String()+"', 'old')")
	if r := w.expect(200, "GET", "/v1/reciters/nadeem", ""); r.body["albumCount"] != 1.0 {
		t.Errorf("read %s", r.raw)
	}
	if r := w.expect(200, "GET", "/v1/reciters/ali", ""); r.body["albumCount"] != 0.0 {
		t.Errorf("read %s", r.raw)
	}
	for _, which := range []string{"old", album.String()} {
		if r := w.expect(200, "GET", "/v1/reciters/nadeem/albums/"+which, ""); r.body["slug"] != "old" || r.body["id"] != album.String() {
			t.Errorf("read %s", r.raw)
		}
		w.expect(200, "GET", "/v1/reciters/nadeem/albums/"+which+"/revisions", "")
	}
	w.expect(404, "GET", "/v1/reciters/ali/albums/old", "")
	w.expect(200, "DELETE", "/v1/reciters/nadeem/albums/old", "")
	if event := w.events()[0]; event.Payload["id"] != album.String() {
		t.Errorf("recorded %v", event)
	}
}

func TestRevisionsOfEntitiesAndOfDeletedOnes(t *testing.T) {
	w := newWorld(t)
	reciter := w.reciter("Nadeem", "nadeem")
	album := w.album(reciter, "Old", "1998")
	postgres.Exec(t, nameOf(w.database),
		"INSERT INTO revisions VALUES ('"+uuid.NewString()+"', 'reciter:"+reciter.String()+"', 2, '{\"deleted\": true}', '2020-01-02Z')",
		"DELETE FROM reciters", "DELETE FROM albums")

	r := w.expect(200, "GET", "/v1/reciters/"+reciter.String()+"/revisions", "")
	items := r.body["items"].([]any)
	if len(items) != 2 || items[0].(map[string]any)["version"] != 2.0 ||
		items[0].(map[string]any)["content"].(map[string]any)["deleted"] != true {
		t.Errorf("read %s", r.raw)
	}
	w.expect(200, "GET", "/v1/reciters/"+reciter.String()+"/albums/"+album.String()+"/revisions", "")
	w.expect(404, "GET", "/v1/reciters/"+uuid.NewString()+"/revisions", "")
	w.expect(404, "GET", "/v1/reciters/nadeem/revisions", "")
}

func TestAReadWaitsForThePositionItNames(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ReadWait = 30 * time.Second })
	w.reciter("Nadeem", "nadeem")
	answered := make(chan reply, 1)
	go func() { answered <- w.send("GET", "/v1/reciters/nadeem", "", "Nawhas-Position", "5") }()
	for w.server.tide.waiters() == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case r := <-answered:
		t.Fatalf("answered %d before the database was there", r.status)
	default:
	}
	w.reach(6)
	if r := <-answered; r.status != 200 || r.header.Get("Nawhas-Position") != "6" {
		t.Errorf("answered %d at position %s", r.status, r.header.Get("Nawhas-Position"))
	}
}

func TestAReadThatWaitsInVainIsToldToRetry(t *testing.T) {
	w := newWorld(t)
	r := w.expect(503, "GET", "/v1/reciters", "", "Nawhas-Position", "99")
	if r.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
	for _, position := range []string{"-1", "x", "99999999999999999999"} {
		w.expect(422, "GET", "/v1/reciters", "", "Nawhas-Position", position)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	w := newWorld(t)
	w.expect(200, "GET", "/healthz", "")
	w.expect(200, "GET", "/readyz", "")
	postgres.Exec(t, nameOf(w.database), "UPDATE checkpoint SET stage = 'indexing'")
	w.expect(503, "GET", "/readyz", "")
	postgres.Exec(t, nameOf(w.database), "DROP TABLE checkpoint")
	w.expect(503, "GET", "/readyz", "")
	w.expect(200, "GET", "/healthz", "")
	if r := w.expect(503, "GET", "/v1/reciters", ""); r.header.Get("Retry-After") == "" {
		t.Error("a database without tables is no reason to retry")
	}
}

func TestAddressesThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	w.expect(404, "GET", "/v2/reciters", "")
	if r := w.expect(405, "DELETE", "/v1/reciters", ""); r.header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
	if w.expect(http.StatusFound, "GET", "/", "").header.Get("Location") != "/docs" {
		t.Error("/ does not lead to the documents")
	}
}

// A version's server that failed over may have lost the last chunks, which the
// follower brings again.
func TestAPositionThatWasLostIsWaitedForAgain(t *testing.T) {
	// As long as a busy machine may take to look.
	w := newWorld(t, func(o *Options) { o.ReadWait = 2 * time.Second })
	w.reciter("Nadeem", "nadeem")
	w.reach(100)
	w.expect(200, "GET", "/v1/reciters/nadeem", "", "Nawhas-Position", "100")
	w.reach(95)
	for range 2 {
		w.expect(503, "GET", "/v1/reciters/nadeem", "", "Nawhas-Position", "98")
		w.expect(503, "GET", "/v1/reciters/nobody", "", "Nawhas-Position", "98")
	}
	w.expect(200, "GET", "/v1/reciters/nadeem", "", "Nawhas-Position", "95")
	w.reach(98)
	w.expect(200, "GET", "/v1/reciters/nadeem", "", "Nawhas-Position", "98")
}
