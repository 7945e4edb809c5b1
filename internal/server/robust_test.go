package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/nawhas/nawhas-operator/internal/library"
)

// TestNoRequestIsTheServersFault sends requests of every shape: whatever comes
// in, the answer is a success or says what is wrong with the request.
func TestNoRequestIsTheServersFault(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ReadWait = 3 * time.Millisecond })
	reciter := w.reciter("Nadeem", "nadeem")
	album := w.album(reciter, "Old", "1998")
	rapid.Check(t, func(t *rapid.T) {
		anyText := rapid.OneOf(rapid.String(), rapid.Just("nadeem"), rapid.Just(reciter.String()), rapid.Just(album.String()),
			rapid.SampledFrom([]string{"", "\x00", "\xff", "null", "..", "%", "'", strings.Repeat("a", 600), uuid.Nil.String()}))
		segment := func() string { return url.PathEscape(anyText.Draw(t, "segment")) }
		path := rapid.SampledFrom([]string{"/v1/reciters", "/v1/reciters/" + segment(), "/v1/reciters/" + segment() + "/revisions",
			"/v1/reciters/" + segment() + "/avatar", "/v1/reciters/" + segment() + "/albums", "/v1/reciters/" + segment() + "/albums/" + segment(),
			"/v1/reciters/" + segment() + "/albums/" + segment() + "/artwork", "/v1/uploads/" + segment(), "/" + segment()}).Draw(t, "path")
		target, err := url.Parse("http://nawhas" + path)
		if err != nil {
			t.Skip("not an address")
		}
		target.RawQuery = url.Values{rapid.SampledFrom([]string{"page", "per_page", "x"}).Draw(t, "name"): {anyText.Draw(t, "query")}}.Encode()
		request := &http.Request{Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}).Draw(t, "method"),
			URL: target, Header: http.Header{}, Host: "nawhas", RemoteAddr: "192.0.2.1:1"}
		body := bodyOf(t, anyText)
		request = request.WithContext(w.t.Context())
		request.Body = http.NoBody
		if body != "" {
			request.Body = readCloser{strings.NewReader(body)}
		}
		for _, header := range []string{"Nawhas-Position", "Idempotency-Key", "Content-Type", "Accept", "Range"} {
			if rapid.IntRange(0, 3).Draw(t, "has header") == 0 {
				request.Header.Set(header, rapid.OneOf(anyText, rapid.SampledFrom([]string{"0", "1", uuid.NewString(), "application/json",
					"multipart/form-data; boundary=x", "image/png", "a+b;c", "bytes=9-1"})).Draw(t, header))
			}
		}
		recorder := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(recorder, request)
		if recorder.Code >= 500 && recorder.Code != http.StatusServiceUnavailable {
			t.Fatalf("%s %s with %v and %q answered %d: %s", request.Method, target, request.Header, body, recorder.Code, recorder.Body)
		}
		if recorder.Header().Get("Nawhas-Version") == "" {
			t.Fatalf("%s %s has no version", request.Method, target)
		}
	})
	if strings.Contains(w.log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has errors: %s", w.log.String())
	}
}

func bodyOf(t *rapid.T, anyText *rapid.Generator[string]) string {
	switch rapid.IntRange(0, 3).Draw(t, "kind of body") {
	case 0:
		return ""
	case 1:
		return anyText.Draw(t, "body")
	default:
		value := rapid.OneOf(rapid.Map(anyText, func(s string) any { return s }), rapid.Just[any](nil), rapid.Just[any](7), rapid.Just[any]([]int{1}))
		object := rapid.MapOf(rapid.SampledFrom([]string{"name", "description", "title", "year", "avatar", "x"}), value).Draw(t, "object")
		encoded, _ := json.Marshal(object)
		return string(encoded)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// TestACommandIsTheSameAsItsEvent: what a command has appended is recognised as
// its own, and no other command's is.
func TestACommandIsTheSameAsItsEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just[*string](nil), rapid.Map(rapid.SampledFrom([]string{"", "a", "b"}), func(s string) *string { return &s }))
		attributes := rapid.MapOf(rapid.SampledFrom([]string{"name", "description"}), text)
		asked := library.Changes(attributes.Draw(t, "asked"))
		current := library.Changes(attributes.Draw(t, "current"))
		id := uuid.New()
		c := command{event: library.ReciterModified, entity: id, attributes: asked}
		event, err := library.NewReciterModified(id, differing(asked, current))
		if err != nil {
			t.Fatal(err)
		}
		stored := &recorded{name: event.Name}
		if err := json.Unmarshal(event.Payload, &stored.payload); err != nil {
			t.Fatal(err)
		}
		if !c.same(stored) {
			t.Fatalf("%v is not recognised in %s", asked, event.Payload)
		}
		other := c
		other.entity = uuid.New()
		if other.same(stored) {
			t.Fatal("another entity's command is taken for the same")
		}
		for name, value := range stored.payload.Attributes {
			changed := library.Changes{}
			for n, v := range asked {
				changed[n] = v
			}
			longer := "x"
			if value != nil {
				longer += *value
			}
			changed[name] = &longer
			other = c
			other.attributes = changed
			if other.same(stored) {
				t.Fatalf("%v is taken for %s", changed, event.Payload)
			}
		}
	})
}
