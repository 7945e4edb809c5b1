package library

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// generator invents a library's history, one event at a time.
type generator struct {
	random *rand.Rand
	// Living entities and, of late, dead ones: races name them.
	reciters, albums, dead []uuid.UUID
	// ofReciter are the living albums of each reciter, so that they die with it.
	ofReciter map[uuid.UUID][]uuid.UUID
	// at is where a living entity is in its list.
	at            map[uuid.UUID]int
	names         []string
	events, added int
}

func newGenerator(seed uint64) *generator {
	return &generator{
		random:    rand.New(rand.NewPCG(seed, seed^0x6e6177686173)), //nolint:gosec // the same events are wanted every time
		ofReciter: map[uuid.UUID][]uuid.UUID{}, at: map[uuid.UUID]int{},
	}
}

// next invents one event.
func (g *generator) next() eventlog.NewEvent {
	g.events++
	if g.added*5 < g.events || len(g.reciters) == 0 || len(g.albums) == 0 {
		return g.creation()
	}
	switch p := g.random.IntN(1000); {
	case p < 40:
		return g.creation()
	case p < 280:
		return g.event(ReciterModified, map[string]any{"id": g.pick(g.reciters), "attributes": g.reciterChanges()})
	case p < 340:
		return g.event(ReciterAvatarUploaded, map[string]any{"id": g.pick(g.reciters), "path": g.path("avatars")})
	case p < 760:
		return g.event(AlbumModified, map[string]any{"id": g.pick(g.albums), "attributes": g.albumChanges()})
	case p < 930:
		return g.event(AlbumArtworkUploaded, map[string]any{"id": g.pick(g.albums), "path": g.path("artwork")})
	case p < 975:
		return g.removal()
	default:
		return g.race()
	}
}

// creation adds an album or, once in six, a reciter.
func (g *generator) creation() eventlog.NewEvent {
	g.added++
	id := g.id()
	if len(g.reciters) == 0 || g.random.IntN(6) == 0 {
		g.add(&g.reciters, id)
		return g.event(ReciterCreated, map[string]any{"id": id, "attributes": ReciterAttributes{
			Name: g.reciterName(), Description: g.maybe(g.description), Avatar: nil}})
	}
	reciter := g.pick(g.reciters)
	g.add(&g.albums, id)
	g.ofReciter[reciter] = append(g.ofReciter[reciter], id)
	return g.event(AlbumCreated, map[string]any{"id": id, "reciterId": reciter, "attributes": AlbumAttributes{
		Title: g.title(), Year: g.year(), Artwork: nil}})
}

// removal deletes an album or, once in thirty, a reciter with all its albums.
func (g *generator) removal() eventlog.NewEvent {
	if g.random.IntN(30) > 0 {
		id := g.pick(g.albums)
		g.remove(&g.albums, id)
		return g.event(AlbumDeleted, map[string]any{"id": id})
	}
	id := g.pick(g.reciters)
	g.remove(&g.reciters, id)
	for _, album := range g.ofReciter[id] {
		if _, living := g.at[album]; living {
			g.remove(&g.albums, album)
		}
	}
	delete(g.ofReciter, id)
	return g.event(ReciterDeleted, map[string]any{"id": id})
}

// race is what two writers do who do not know of each other.
func (g *generator) race() eventlog.NewEvent {
	gone := g.id()
	if len(g.dead) > 0 {
		gone = g.pick(g.dead)
	}
	switch g.random.IntN(7) {
	case 0:
		return g.event(ReciterModified, map[string]any{"id": gone, "attributes": g.reciterChanges()})
	case 1:
		return g.event(AlbumModified, map[string]any{"id": gone, "attributes": g.albumChanges()})
	case 2:
		return g.event(AlbumDeleted, map[string]any{"id": gone})
	case 3:
		return g.event(AlbumCreated, map[string]any{"id": g.id(), "reciterId": gone, "attributes": AlbumAttributes{Title: g.title(), Year: g.year()}})
	case 4:
		return g.event(AlbumArtworkUploaded, map[string]any{"id": gone, "path": g.path("artwork")})
	case 5:
		return g.event(ReciterCreated, map[string]any{"id": gone, "attributes": ReciterAttributes{Name: g.reciterName()}})
	default:
		return g.event(ReciterModified, map[string]any{"id": g.pick(g.reciters), "attributes": Changes{"name": &g.names[g.random.IntN(len(g.names))]}})
	}
}

func (g *generator) event(name string, payload map[string]any) eventlog.NewEvent {
	body, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("encode an invented %s: %v", name, err)) // texts and ids always can be
	}
	return eventlog.NewEvent{ID: g.id(), Name: name, Version: 1, Payload: body}
}

func (g *generator) id() uuid.UUID {
	var id uuid.UUID
	for i := range 2 {
		word := g.random.Uint64()
		for j := range 8 {
			id[8*i+j] = byte(word >> (8 * j)) //nolint:gosec // cutting the word up is meant
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func (g *generator) add(list *[]uuid.UUID, id uuid.UUID) {
	g.at[id] = len(*list)
	*list = append(*list, id)
}

// remove takes an entity out of its list; the last one takes its place.
func (g *generator) remove(list *[]uuid.UUID, id uuid.UUID) {
	at, last := g.at[id], len(*list)-1
	(*list)[at] = (*list)[last]
	g.at[(*list)[at]] = at
	*list = (*list)[:last]
	delete(g.at, id)
	if len(g.dead) < 1000 {
		g.dead = append(g.dead, id)
	} else {
		g.dead[g.random.IntN(len(g.dead))] = id
	}
}

// pick prefers what was added of late: that is what people work on.
func (g *generator) pick(list []uuid.UUID) uuid.UUID {
	if g.random.IntN(2) == 0 {
		recent := min(len(list), 200)
		return list[len(list)-1-g.random.IntN(recent)]
	}
	return list[g.random.IntN(len(list))]
}

func (g *generator) reciterChanges() Changes {
	switch g.random.IntN(4) {
	case 0:
		name := g.reciterName()
		return Changes{"name": &name}
	case 1:
		return Changes{"description": nil}
	default:
		text := g.description()
		return Changes{"description": &text}
	}
}

func (g *generator) albumChanges() Changes {
	title, year := g.title(), g.year()
	switch g.random.IntN(3) {
	case 0:
		return Changes{"title": &title}
	case 1:
		return Changes{"year": &year}
	default:
		return Changes{"title": &title, "year": &year}
	}
}

func (g *generator) maybe(text func() string) *string {
	if g.random.IntN(3) == 0 {
		return nil
	}
	t := text()
	return &t
}

func (g *generator) year() string { return strconv.Itoa(1960 + g.random.IntN(67)) }

func (g *generator) path(folder string) string {
	return fmt.Sprintf("%s/%016x%016x.jpg", folder, g.random.Uint64(), g.random.Uint64())
}
