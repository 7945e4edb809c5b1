package load

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// reader reads what anybody reads: the list, and one of its entries.
type reader struct {
	*client
	page int
}

type page struct {
	Items []struct {
		ID uuid.UUID `json:"id"`
	} `json:"items"`
}

func (r *reader) work(ctx context.Context) {
	r.page = r.page%20 + 1
	var p page
	r.read(ctx, fmt.Sprintf("/v1/reciters?per_page=5&page=%d", r.page), 0, &p)
}

// newcomer reads over a connection of its own, as somebody who comes for the
// first time.
type newcomer struct{ *client }

func (n *newcomer) work(ctx context.Context) {
	began := time.Now()
	var p page
	if version, ok := n.do(ctx, http.MethodGet, "/v1/reciters?per_page=1", 0, "", nil, &p); ok {
		n.load.came(Exchange{Began: began, Ended: time.Now(), Version: version})
	}
}

// writer writes reciters and albums of its own, and looks each time whether it
// sees what it wrote.
type writer struct {
	*client
	reciter uuid.UUID
	after   int64
	rounds  int
	edits   int
}

// eachReciter is how many writes a reciter gets before the next one is created.
const eachReciter = 10

func (w *writer) work(ctx context.Context) {
	w.rounds++
	switch {
	case w.reciter == uuid.Nil || w.rounds%eachReciter == 0:
		w.create(ctx)
	case w.rounds%eachReciter == 5:
		w.album(ctx)
	default:
		w.describe(ctx)
	}
}

func (w *writer) create(ctx context.Context) {
	// Names are taken for good, by earlier loads too.
	name := "Reciter " + uuid.NewString()
	r, ok := w.write(ctx, http.MethodPost, "/v1/reciters", w.after, map[string]string{"name": name})
	if !ok {
		return
	}
	w.reciter, w.after = r.ID, max(w.after, r.Position)
	w.expect(ctx, "/v1/reciters/"+r.ID.String(), "name", name)
}

func (w *writer) describe(ctx context.Context) {
	w.edits++
	text := fmt.Sprintf("edited %d times", w.edits)
	path := "/v1/reciters/" + w.reciter.String()
	r, ok := w.write(ctx, http.MethodPatch, path, w.after, map[string]string{"description": text})
	if !ok {
		return
	}
	w.after = max(w.after, r.Position)
	w.expect(ctx, path, "description", text)
}

func (w *writer) album(ctx context.Context) {
	title := fmt.Sprintf("Album %d", w.rounds)
	path := "/v1/reciters/" + w.reciter.String() + "/albums"
	r, ok := w.write(ctx, http.MethodPost, path, w.after, map[string]string{"title": title, "year": "2024"})
	if !ok {
		return
	}
	w.after = max(w.after, r.Position)
	w.expect(ctx, path+"/"+r.ID.String(), "title", title)
}

// expect reads the entity from a database that has reached the writer's own
// position; another value than the one just written is a stale read.
func (w *writer) expect(ctx context.Context, path, attribute, value string) {
	var entity map[string]any
	if w.read(ctx, path, w.after, &entity) && entity[attribute] != value {
		w.load.stale()
	}
}
