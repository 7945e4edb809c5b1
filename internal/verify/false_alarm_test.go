package verify

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// TestSoundOddLogsPass builds databases from logs in which next to
// nothing fits: few ids, given to reciters and albums alike, created, changed
// and deleted in any order. Whatever the engine makes of them, the independent
// account must be the same.
func TestSoundOddLogsPass(t *testing.T) {
	for _, version := range []string{"3.1.2", "3.2.0"} {
		for range 4 {
			seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
			t.Logf("edition %s, seed %d", version, seed)
			b := buildVersion(t, version, 0)
			source := b.connect(b.source)
			_, err := b.log.Append(t.Context(), source, oddLog(rand.New(rand.NewPCG(seed, 1)), 1500)...)
			must(t, err)
			_, err = projection.Follow(t.Context(), projection.Options{Source: b.source, Database: b.database, NewModel: b.edition.Model, Until: 1500})
			must(t, err)
			evidence, err := b.verify()
			suite.sound("an odd log, followed by "+version, err)
			if err != nil || evidence.Position != 1500 {
				t.Fatalf("seed %d: at position %d: %v", seed, evidence.Position, err)
			}
		}
	}
}

// oddLog draws events over few ids. There are more creations and changes than
// deletions, because an id lives once.
func oddLog(random *rand.Rand, n int) []eventlog.NewEvent {
	ids := make([]uuid.UUID, 120)
	for i := range ids {
		ids[i] = uuid.UUID{byte(random.Uint32()), byte(i), 6: 0x40, 8: 0x80, 15: byte(i)}
	}
	events := make([]eventlog.NewEvent, n)
	for i := range events {
		payload := map[string]any{"id": ids[random.IntN(len(ids))]}
		name := oddNames[random.IntN(len(oddNames))]
		switch name {
		case library.ReciterCreated:
			payload["attributes"] = map[string]any{"name": word(random), "description": text(random), "avatar": text(random)}
		case library.AlbumCreated:
			payload["reciterId"] = ids[random.IntN(len(ids))]
			payload["attributes"] = map[string]any{"title": word(random), "year": "1998", "artwork": text(random)}
		case library.ReciterModified, library.AlbumModified:
			changes := map[string]any{}
			for _, attribute := range []string{"name", "description", "avatar", "title", "year", "artwork"} {
				if random.IntN(3) == 0 {
					changes[attribute] = text(random)
				}
			}
			payload["attributes"] = changes
		case library.ReciterAvatarUploaded, library.AlbumArtworkUploaded:
			payload["path"] = word(random)
		}
		encoded, _ := json.Marshal(payload)
		events[i] = eventlog.NewEvent{ID: uuid.New(), Name: name, Version: 1, Payload: encoded}
	}
	return events
}

var oddNames = []string{library.ReciterCreated, library.ReciterCreated, library.ReciterModified, library.ReciterModified, library.ReciterAvatarUploaded,
	library.ReciterDeleted, library.AlbumCreated, library.AlbumCreated, library.AlbumCreated, library.AlbumModified, library.AlbumModified,
	library.AlbumArtworkUploaded, library.AlbumDeleted}

func word(random *rand.Rand) string {
	return []string{"Ali", "ali", "نديم", "", " ", "Ḥusayn", "a\"b\\c", "x,{y}", "null"}[random.IntN(9)]
}

func text(random *rand.Rand) any {
	if random.IntN(3) == 0 {
		return nil
	}
	return word(random)
}
