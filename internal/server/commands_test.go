package server

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestCreatingAReciterAppendsItsEvent(t *testing.T) {
	w := newWorld(t)
	r := w.expect(201, "POST", "/v1/reciters", `{"name": "  نديم سرور ", "description": "A reciter"}`)
	events := w.events()
	if len(events) != 1 || events[0].Name != "ReciterCreated" || events[0].Payload["id"] != r.body["id"] {
		t.Fatalf("the log has %v, the answer was %s", events, r.raw)
	}
	attributes := events[0].Payload["attributes"].(map[string]any)
	if attributes["name"] != "نديم سرور" || attributes["description"] != "A reciter" {
		t.Errorf("recorded %v", attributes)
	}
	if r.header.Get("Location") != "/v1/reciters/"+r.body["id"].(string) || r.header.Get("Nawhas-Position") != "1" || r.body["changed"] != true {
		t.Errorf("answered %s with %v", r.raw, r.header)
	}
}

func TestCommandsThatAreRefusedAppendNothing(t *testing.T) {
	w := newWorld(t)
	id := w.reciter("Nadeem", "nadeem")
	album := "/v1/reciters/nadeem/albums/" + w.album(id, "Old", "1998").String()
	w.reciter("Ali", "ali")
	nobody := uuid.NewString()
	for _, c := range []struct {
		name               string
		status             int
		method, path, body string
	}{
		{"no body", 400, "POST", "/v1/reciters", ""},
		{"no JSON", 400, "POST", "/v1/reciters", "{"},
		{"not UTF-8", 400, "POST", "/v1/reciters", "{\"name\": \"a\xff\"}"},
		{"lone surrogate", 422, "POST", "/v1/reciters", `{"name": "a\ud800"}`},
		{"NUL", 422, "POST", "/v1/reciters", `{"name": "a\u0000"}`},
		{"NUL in a description", 422, "POST", "/v1/reciters", `{"name": "a", "description": "\u0000"}`},
		{"no name", 422, "POST", "/v1/reciters", `{}`},
		{"blank name", 422, "POST", "/v1/reciters", `{"name": "  "}`},
		{"long name", 422, "POST", "/v1/reciters", `{"name": "` + strings.Repeat("a", 201) + `"}`},
		{"name of another type", 422, "POST", "/v1/reciters", `{"name": 7}`},
		{"unknown attribute", 422, "POST", "/v1/reciters", `{"name": "a", "slug": "b"}`},
		{"large body", 413, "POST", "/v1/reciters", `{"name": "` + strings.Repeat("a", maxCommandBytes) + `"}`},
		{"taken name", 409, "POST", "/v1/reciters", `{"name": "nadeem"}`},
		{"taken name on change", 409, "PATCH", "/v1/reciters/ali", `{"name": "NADEEM"}`},
		{"null name", 422, "PATCH", "/v1/reciters/ali", `{"name": null}`},
		{"unknown reciter", 404, "PATCH", "/v1/reciters/" + nobody, `{"name": "x"}`},
		{"delete an unknown reciter", 404, "DELETE", "/v1/reciters/" + nobody, ""},
		{"album of an unknown reciter", 404, "POST", "/v1/reciters/" + nobody + "/albums", `{"title": "a", "year": "1998"}`},
		{"short year", 422, "POST", "/v1/reciters/ali/albums", `{"title": "a", "year": "98"}`},
		{"year as a number", 422, "POST", "/v1/reciters/ali/albums", `{"title": "a", "year": 1998}`},
		{"null year", 422, "PATCH", album, `{"year": null}`},
		{"album of another reciter", 404, "PATCH", strings.Replace(album, "nadeem", "ali", 1), `{"title": "b"}`},
		{"delete an unknown album", 404, "DELETE", "/v1/reciters/ali/albums/" + nobody, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.expect(c.status, c.method, c.path, c.body)
		})
	}
	w.t = t
	w.expect(422, "POST", "/v1/reciters", `{"name": "a"}`, "Idempotency-Key", "not-a-uuid")
	if events := w.events(); len(events) != 0 {
		t.Errorf("the log has %v", events)
	}
	if strings.Contains(w.log.String(), "ud800") || strings.Contains(w.log.String(), "Nadeem") {
		t.Error("a payload is in the log of the server")
	}
}

func TestAChangeIsRecordedOnlyWhenItChangesSomething(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	w.reach(3)
	for _, body := range []string{`{}`, `{"name": "Nadeem"}`, `{"name": "Nadeem", "description": "about"}`} {
		r := w.expect(200, "PATCH", "/v1/reciters/nadeem", body)
		if r.body["changed"] != false || r.header.Get("Nawhas-Position") != "3" {
			t.Errorf("%s answered %s", body, r.raw)
		}
	}
	if events := w.events(); len(events) != 0 {
		t.Fatalf("the log has %v", events)
	}
	w.expect(200, "PATCH", "/v1/reciters/nadeem", `{"name": "Nadeem", "description": null}`)
	events := w.events()
	attributes := events[0].Payload["attributes"].(map[string]any)
	if description, there := attributes["description"]; len(attributes) != 1 || !there || description != nil {
		t.Errorf("recorded %v", attributes)
	}
	// A new spelling of the reciter's own name is no clash.
	w.expect(200, "PATCH", "/v1/reciters/nadeem", `{"name": "NADEEM"}`)
}

func TestAlbumCommands(t *testing.T) {
	w := newWorld(t)
	reciter := w.reciter("Nadeem", "nadeem")
	album := "/v1/reciters/nadeem/albums/" + w.album(reciter, "Old", "1998").String()
	r := w.expect(201, "POST", "/v1/reciters/nadeem/albums", `{"title": "New", "year": "2020"}`)
	if r.header.Get("Location") != "/v1/reciters/nadeem/albums/"+r.body["id"].(string) {
		t.Errorf("located at %s", r.header.Get("Location"))
	}
	w.expect(200, "PATCH", album, `{"year": "1999"}`)
	w.expect(200, "DELETE", album, "")
	w.expect(200, "DELETE", "/v1/reciters/nadeem", "")
	var names []string
	for _, event := range w.events() {
		names = append(names, event.Name)
	}
	if strings.Join(names, " ") != "AlbumCreated AlbumModified AlbumDeleted ReciterDeleted" {
		t.Errorf("the log has %v", names)
	}
	if w.events()[0].Payload["reciterId"] != reciter.String() {
		t.Errorf("the album's reciter is %v", w.events()[0].Payload["reciterId"])
	}
}

func TestRefusalsAreMadeOnACurrentDatabase(t *testing.T) {
	w := newWorld(t)
	reciter := w.reciter("Nadeem", "nadeem")
	album := "/v1/reciters/nadeem/albums/" + w.album(reciter, "Old", "1998").String()
	w.expect(200, "PATCH", album, `{"year": "1999"}`)
	// The follower has not applied the change: taking it back is no "nothing to
	// change", and a clash or an unknown reciter is not certain.
	w.expect(503, "PATCH", album, `{"year": "1998"}`)
	w.expect(503, "POST", "/v1/reciters", `{"name": "Nadeem"}`)
	w.expect(503, "DELETE", "/v1/reciters/"+uuid.NewString(), "")
	w.expect(201, "POST", "/v1/reciters", `{"name": "Ali"}`)

	postgres.Exec(t, nameOf(w.database), "UPDATE albums SET year = '1999'")
	w.reach(2)
	w.expect(200, "PATCH", album, `{"year": "1998"}`)
	w.reach(3)
	w.expect(409, "POST", "/v1/reciters", `{"name": "Nadeem"}`)
	w.expect(404, "DELETE", "/v1/reciters/"+uuid.NewString(), "")
	if r := w.expect(200, "PATCH", album, `{"year": "1999"}`); r.body["changed"] != false {
		t.Errorf("nothing to change answered %s", r.raw)
	}
}

func TestARepeatedCommandIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	key := uuid.NewString()
	first := w.expect(201, "POST", "/v1/reciters", `{"name": "Nadeem"}`, "Idempotency-Key", key)
	// The name is taken by now, by the command itself.
	postgres.Exec(t, nameOf(w.database), "INSERT INTO reciters VALUES ('"+first.body["id"].(string)+"', 'Nadeem', 'nadeem', NULL, NULL, 1, now(), now())")
	again := w.expect(201, "POST", "/v1/reciters", `{"name": "Nadeem"}`, "Idempotency-Key", key)
	if string(again.raw) != string(first.raw) || again.header.Get("Nawhas-Position") != first.header.Get("Nawhas-Position") ||
		again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("first %s, again %s", first.raw, again.raw)
	}
	if events := w.events(); len(events) != 1 || events[0].ID.String() != key {
		t.Errorf("the log has %v", events)
	}
	for _, other := range []string{`{"name": "Ali"}`, `{"name": "Nadeem", "description": "x"}`} {
		w.expect(422, "POST", "/v1/reciters", other, "Idempotency-Key", key)
	}
	w.expect(422, "DELETE", "/v1/reciters/nadeem", "", "Idempotency-Key", key)
}

func TestRepeatedCommandsThatMeetAreRecordedOnce(t *testing.T) {
	w := newWorld(t)
	key := uuid.NewString()
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			r := w.send("POST", "/v1/reciters", `{"name": "Nadeem"}`, "Idempotency-Key", key)
			if r.status != 201 {
				t.Errorf("answered %d: %s", r.status, r.raw)
				return
			}
			ids[i] = r.body["id"].(string)
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one command created %s and %s", ids[0], id)
		}
	}
	if events := w.events(); len(events) != 1 {
		t.Errorf("the log has %d events", len(events))
	}
}

func TestARepeatedChangeAnswersAsTheFirstTime(t *testing.T) {
	w := newWorld(t)
	id := w.reciter("Nadeem", "nadeem")
	key := uuid.NewString()
	first := w.expect(200, "PATCH", "/v1/reciters/nadeem", `{"name": "Ali", "description": "about"}`, "Idempotency-Key", key)
	postgres.Exec(t, nameOf(w.database), "UPDATE reciters SET name = 'Ali', slug = 'ali'")
	again := w.expect(200, "PATCH", "/v1/reciters/"+id.String(), `{"name": "Ali", "description": "about"}`, "Idempotency-Key", key)
	if string(first.raw) != string(again.raw) {
		t.Errorf("first %s, again %s", first.raw, again.raw)
	}
	w.expect(422, "PATCH", "/v1/reciters/"+uuid.NewString(), `{"name": "Ali"}`, "Idempotency-Key", key)
}

func TestAVersionThatMayNotWriteAnswersSo(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	postgres.Exec(t, nameOf(w.source), "REVOKE INSERT ON events FROM "+w.role)
	for _, c := range [][3]string{{"POST", "/v1/reciters", `{"name": "Ali"}`}, {"DELETE", "/v1/reciters/nadeem", ""}} {
		r := w.expect(503, c[0], c[1], c[2])
		if r.header.Get("Retry-After") != "1" || !r.closes || !strings.Contains(r.body["detail"].(string), "not live") {
			t.Errorf("answered %s, %v", r.raw, r.header)
		}
	}
	w.expect(200, "GET", "/v1/reciters/nadeem", "")
	w.expect(200, "GET", "/readyz", "")
}

// A version that lost its place sends the writers on its connections back to the
// Service at once.
func TestAVersionThatMayNoLongerWriteLetsGoOfItsWriters(t *testing.T) {
	w := newWorld(t)
	w.expect(201, "POST", "/v1/reciters", `{"name": "Ali"}`)
	postgres.Exec(t, nameOf(w.source), "REVOKE INSERT ON events FROM "+w.role)
	r := w.expect(503, "POST", "/v1/reciters", `{"name": "Nadeem"}`)
	if r.header.Get("Retry-After") != "0" || !r.closes {
		t.Errorf("answered with %v", r.header)
	}
}

func TestACommandWaitsForThePositionItNames(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ReadWait = 2 * time.Second })
	w.expect(503, "POST", "/v1/reciters", `{"name": "Ali"}`, "Nawhas-Position", "4")
	w.reach(4)
	w.expect(201, "POST", "/v1/reciters", `{"name": "Ali"}`, "Nawhas-Position", "4")
	if events := w.events(); len(events) != 1 {
		t.Errorf("the log has %d events", len(events))
	}
}

// What a change leaves out, because it is so already, may have become so by a
// database that lags: then it would be lost.
func TestAPartOfAChangeIsLeftOutOnACurrentDatabaseOnly(t *testing.T) {
	w := newWorld(t)
	reciter := w.reciter("Nadeem", "nadeem")
	album := "/v1/reciters/nadeem/albums/" + w.album(reciter, "Old", "1998").String()
	w.expect(200, "PATCH", "/v1/reciters/nadeem", `{"name": "Ali"}`)
	w.expect(503, "PATCH", "/v1/reciters/nadeem", `{"name": "Nadeem", "description": "new"}`)
	w.expect(200, "PATCH", album, `{"title": "New"}`)
	w.expect(503, "PATCH", album, `{"title": "Old", "year": "2000"}`)

	postgres.Exec(t, nameOf(w.database), "UPDATE reciters SET name = 'Ali', slug = 'ali'", "UPDATE albums SET title = 'New'")
	w.reach(2)
	w.expect(200, "PATCH", "/v1/reciters/ali", `{"name": "Nadeem", "description": "new"}`)
	if changes := w.events()[2].Payload["attributes"]; !reflect.DeepEqual(changes, map[string]any{"name": "Nadeem", "description": "new"}) {
		t.Errorf("recorded %v", changes)
	}
	w.reach(3)
	w.expect(200, "PATCH", strings.Replace(album, "nadeem", "ali", 1), `{"title": "New", "year": "2000"}`)
	if changes := w.events()[3].Payload["attributes"]; !reflect.DeepEqual(changes, map[string]any{"year": "2000"}) {
		t.Errorf("recorded %v", changes)
	}
}

// A server that is demoted, or whose disk is full, takes writes again later or
// elsewhere.
func TestASourceThatIsReadOnlyIsAway(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	postgres.Exec(t, "postgres", "ALTER ROLE "+w.role+" SET default_transaction_read_only = on")
	w.server.pen.source.Reset()
	if r := w.expect(503, "POST", "/v1/reciters", `{"name": "Ali"}`); r.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
	postgres.Exec(t, "postgres", "ALTER ROLE "+w.role+" RESET default_transaction_read_only")
	w.expect(201, "POST", "/v1/reciters", `{"name": "Ali"}`)
}
