package library

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The content is what encoding/json would read back as the entity.
func FuzzRevisionContent(f *testing.F) {
	for _, seed := range []string{"", "علی", "\"\\/\b\t\n\x1f\x7f", "<&>\u2028", "🎙️"} {
		f.Add(seed, seed)
	}
	at := time.Date(2026, 11, 23, 1, 2, 3, 45000, time.FixedZone("", 3600))
	f.Fuzz(func(t *testing.T, name, description string) {
		if !utf8.ValidString(name) || !utf8.ValidString(description) {
			t.Skip("no decoder lets it through")
		}
		r := reciter{ID: uuid.New(), Name: name, Slug: "s", Description: &description, Revision: 7, CreatedAt: at, UpdatedAt: at}
		c := change{reciter: r, deleted: true}
		entity, content := c.describe(nil, nil)
		var got map[string]any
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		want := map[string]any{"deleted": true, "id": r.ID.String(), "name": name, "slug": "s", "description": description,
			"avatar": nil, "created_at": "2026-11-23T00:02:03.000045Z", "updated_at": "2026-11-23T00:02:03.000045Z"}
		if !reflect.DeepEqual(got, want) || string(entity) != "reciter:"+r.ID.String() {
			t.Errorf("%s: %v, want %v", entity, got, want)
		}
	})
}
