package traffic

import (
	"testing"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/library"
)

func TestChangesGoRoundTheAlbums(t *testing.T) {
	changes, err := NewChanges([]uuid.UUID{uuid.New(), uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	ids, payloads := map[uuid.UUID]bool{}, map[string]bool{}
	for range 6 {
		event, err := changes.Event()
		if err != nil {
			t.Fatal(err)
		}
		if event.Name != library.AlbumModified || event.Version != 1 {
			t.Errorf("a change is %s v%d", event.Name, event.Version)
		}
		ids[event.ID], payloads[string(event.Payload)] = true, true
	}
	if len(ids) != 6 || len(payloads) != 6 {
		t.Errorf("%d ids and %d payloads of 6 changes", len(ids), len(payloads))
	}
}

func TestWithoutAlbumsThereIsNothingToChange(t *testing.T) {
	if _, err := NewChanges(nil); err == nil {
		t.Error("changes of nothing were made")
	}
}
