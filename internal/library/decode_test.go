package library

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Whatever is in a payload, its decoder returns a body or an error of its
// shape, and no body holds what cannot be stored.
func FuzzDecoders(f *testing.F) {
	id := uuid.New()
	for _, seed := range []string{
		`{"id":"` + id.String() + `","attributes":{"name":"علی","description":null,"title":"x","year":"1999"},"reciterId":"` + id.String() + `","path":"p"}`,
		`{}`, `[]`, `null`, `{"id":1}`, `{"id":"x"}`, `{"id":"` + id.String() + `","attributes":null}`,
		`{"id":"` + id.String() + `","attributes":{"name":{}}}`, `{"id":"` + id.String() + `","attributes":{"name":"\u0000"}}`, "\xff", `{"id":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for kind, decode := range decoders {
			body, err := decode(payload)
			switch {
			case err != nil && len(err.Error()) > 200:
				t.Errorf("%s: an error of %d bytes may repeat the payload", kind, len(err.Error()))
			case err == nil && body == nil:
				t.Errorf("%s: neither a body nor an error", kind)
			case err == nil:
				assertStorable(t, kind, body)
			}
		}
	})
}

// assertStorable finds texts that Postgres would refuse, wherever they are.
func assertStorable(t *testing.T, kind projection.Kind, body any) {
	t.Helper()
	check := func(texts ...*string) {
		for _, text := range texts {
			if text != nil && (strings.ContainsRune(*text, 0) || !utf8.ValidString(*text)) {
				t.Errorf("%s: let %q through", kind, *text)
			}
		}
	}
	switch body := body.(type) {
	case *reciterCreated:
		check(&body.Attributes.Name, body.Attributes.Description, body.Attributes.Avatar, &body.Slugs[0])
	case *albumCreated:
		check(&body.Attributes.Title, &body.Attributes.Year, body.Attributes.Artwork)
	case *reciterModified:
		check(body.Changes.values()...)
	case *albumModified:
		check(body.Changes.values()...)
	case *avatarUploaded:
		check(&body.Path)
	case *artworkUploaded:
		check(&body.Path)
	}
}

func (t texts) values() []*string {
	var all []*string
	for _, text := range t {
		all = append(all, text.value)
	}
	return all
}

func TestDecodersNameWhatIsMissing(t *testing.T) {
	id := uuid.New().String()
	for _, c := range []struct{ name, payload, want string }{
		{ReciterCreated, `{"attributes": {"name": "x"}}`, "id is missing"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": null}}`, id), "attributes.name is missing"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": 5}}`, id), "attributes.name is not a text"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": "\u0000"}}`, id), "a text holds a NUL character"},
		{AlbumCreated, fmt.Sprintf(`{"id": %q, "attributes": {"title": "x", "year": "2000"}}`, id), "reciterId is missing"},
		{AlbumCreated, fmt.Sprintf(`{"id": %q, "reciterId": %q, "attributes": {"title": "x"}}`, id, id), "attributes.year is missing"},
		{AlbumModified, fmt.Sprintf(`{"id": %q}`, id), "attributes is missing"},
		{AlbumModified, fmt.Sprintf(`{"id": %q, "attributes": {"year": [1]}}`, id), "attributes.year is not a text"},
		{AlbumArtworkUploaded, fmt.Sprintf(`{"id": %q}`, id), "path is missing"},
		{AlbumDeleted, `{"id": "x"}`, "an id is not a UUID"},
		{AlbumDeleted, `[]`, "an object was expected"},
		{AlbumDeleted, `{"id": 7}`, "id is not a text"},
	} {
		_, err := decoders[projection.Kind{Name: c.name, Version: 1}]([]byte(c.payload))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.name, c.payload, err, c.want)
		}
	}
}

func TestDecodersPassOverWhatTheyDoNotKnow(t *testing.T) {
	id := uuid.New()
	body, err := decodeReciterModified(fmt.Appendf(nil, `{"id": %q, "by": {"user": 1}, "attributes": {"born": {"year": 1970}, "name": null}}`, id))
	if err != nil {
		t.Fatal(err)
	}
	modified := body.(*reciterModified)
	if modified.ID != id || modified.Changes != (texts{name: {given: true}}) {
		t.Errorf("got %+v", modified)
	}
}
