package library

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Whatever is in a payload, its decoder returns a body or an error of its
// shape, and a body can be decoded from its own encoding.
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

func assertStorable(t *testing.T, kind projection.Kind, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Errorf("%s: %v", kind, err)
	}
	if strings.Contains(string(encoded), `\u0000`) && !strings.Contains(string(encoded), `\\u0000`) {
		t.Errorf("%s: let a NUL through", kind)
	}
}

func TestDecodersNameWhatIsMissing(t *testing.T) {
	id := uuid.New().String()
	for _, c := range []struct{ name, payload, want string }{
		{ReciterCreated, `{"attributes": {"name": "x"}}`, "id is missing"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": null}}`, id), "attributes.name is missing"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": 5}}`, id), "name has the wrong type"},
		{ReciterCreated, fmt.Sprintf(`{"id": %q, "attributes": {"name": "\u0000"}}`, id), "a text holds a NUL character"},
		{AlbumCreated, fmt.Sprintf(`{"id": %q, "attributes": {"title": "x", "year": "2000"}}`, id), "reciterId is missing"},
		{AlbumCreated, fmt.Sprintf(`{"id": %q, "reciterId": %q, "attributes": {"title": "x"}}`, id, id), "attributes.year is missing"},
		{AlbumModified, fmt.Sprintf(`{"id": %q}`, id), "attributes is missing"},
		{AlbumModified, fmt.Sprintf(`{"id": %q, "attributes": {"year": [1]}}`, id), "attributes.year is neither a string nor null"},
		{AlbumArtworkUploaded, fmt.Sprintf(`{"id": %q}`, id), "path is missing"},
		{AlbumDeleted, `{"id": "x"}`, "an id is not a UUID"},
		{AlbumDeleted, `[]`, "an object was expected"},
		{AlbumDeleted, `{"id": 7}`, "id has the wrong type"},
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
	if name, ok := modified.Changes["name"]; modified.ID != id || len(modified.Changes) != 1 || !ok || name != nil {
		t.Errorf("got %+v", modified)
	}
}
