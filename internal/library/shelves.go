package library

import (
	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// shelf is a row of the table shelves: a reciter with albums.
type shelf struct {
	ReciterID uuid.UUID
	Albums    int32
}

// shelvedAlbum is a row of the table shelved_albums.
type shelvedAlbum struct {
	ID        uuid.UUID
	ReciterID uuid.UUID
	Slug      string
}

var shelfShape = projection.Shape[shelf]{
	Name:    "shelves",
	Columns: []string{"id", "albums"},
	Key:     func(s *shelf) uuid.UUID { return s.ReciterID },
	Encode: func(e *projection.Encoder, s *shelf) {
		e.UUID(s.ReciterID)
		e.Int32(s.Albums)
	},
	Decode: func(f *projection.Fields) shelf { return shelf{ReciterID: f.UUID(), Albums: f.Int32()} },
}

var shelvedAlbumShape = projection.Shape[shelvedAlbum]{
	Name:    "shelved_albums",
	Columns: []string{"id", "reciter_id", "slug"},
	Key:     func(a *shelvedAlbum) uuid.UUID { return a.ID },
	Encode: func(e *projection.Encoder, a *shelvedAlbum) {
		e.UUID(a.ID)
		e.UUID(a.ReciterID)
		e.Text(a.Slug)
	},
	Decode: func(f *projection.Fields) shelvedAlbum {
		return shelvedAlbum{ID: f.UUID(), ReciterID: f.UUID(), Slug: f.Text()}
	},
}

// shelvesProjector gives albums their slugs, unique on the shelf of their
// reciter, and counts them. It goes by what the albums projector did, so it
// comes after that one and before the revisions.
type shelvesProjector struct {
	*tables
	shelves *projection.Rows[shelf]
	albums  *projection.Rows[shelvedAlbum]
	onShelf *projection.Lookup[shelvedAlbum, uuid.UUID]
}

func newShelvesProjector(t *tables) *shelvesProjector {
	p := &shelvesProjector{tables: t, shelves: projection.NewRows(shelfShape), albums: projection.NewRows(shelvedAlbumShape)}
	p.onShelf = projection.NewLookup(p.albums, "reciter_id", func(a *shelvedAlbum) uuid.UUID { return a.ReciterID })
	return p
}

func (p *shelvesProjector) Name() string { return "shelves" }

func (p *shelvesProjector) Handles() []projection.Kind {
	return kinds(AlbumCreated, AlbumModified, AlbumDeleted, ReciterDeleted)
}

func (p *shelvesProjector) Needs(e *projection.Event) bool {
	switch body := e.Body.(type) {
	case *albumCreated:
		p.want(body.ReciterID)
		p.albums.Want(body.ID)
	case *albumModified:
		return !p.wantShelfOf(body.ID)
	case *albumDeleted:
		return !p.wantShelfOf(body.ID)
	case *reciterDeleted:
		p.want(body.ID)
	}
	return false
}

func (p *shelvesProjector) want(reciter uuid.UUID) {
	p.shelves.Want(reciter)
	p.onShelf.Want(reciter)
}

// wantShelfOf follows the album to its shelf, if the album is known. One that
// the chunk creates is not yet; its creation asks for the shelf.
func (p *shelvesProjector) wantShelfOf(album uuid.UUID) bool {
	p.albums.Want(album)
	a, known := p.albums.Known(album)
	if known {
		p.want(a.ReciterID)
	}
	return known
}

func (p *shelvesProjector) Apply(*projection.Event) (projection.Outcome, error) {
	var outcome projection.Outcome
	for i := range p.changes {
		c := &p.changes[i]
		switch {
		case !c.isAlbum:
		case c.deleted:
			p.albums.Delete(c.album.ID)
			p.count(c.album.ReciterID)
		default:
			if p.place(&c.album) {
				outcome = NameClash
			}
		}
	}
	return outcome, nil
}

// place gives an album the first slug that no other one on the shelf has, and
// tells whether another one has the slug of its title.
func (p *shelvesProjector) place(a *album) (clash bool) {
	taken := map[string]bool{}
	for _, other := range p.onShelf.Find(a.ReciterID) {
		if other.ID != a.ID {
			taken[other.Slug] = true
		}
	}
	candidates := slugCandidates("album", a.Title, a.ID)
	slug := candidates[2]
	for _, candidate := range candidates[:2] {
		if !taken[candidate] {
			slug = candidate
			break
		}
	}
	p.albums.Put(shelvedAlbum{ID: a.ID, ReciterID: a.ReciterID, Slug: slug})
	p.count(a.ReciterID)
	return slug != candidates[0]
}

func (p *shelvesProjector) count(reciter uuid.UUID) {
	albums := len(p.onShelf.Find(reciter))
	if albums == 0 {
		p.shelves.Delete(reciter)
		return
	}
	p.shelves.Put(shelf{ReciterID: reciter, Albums: int32(albums)}) //nolint:gosec // far below two billion
}

// newModelWithShelves is the model of edition 3.2.0.
func newModelWithShelves() *projection.Model {
	t := newTables()
	shelves := newShelvesProjector(t)
	return &projection.Model{
		Version:    "3.2.0",
		Decoders:   decoders,
		Projectors: []projection.Projector{&recitersProjector{t}, &albumsProjector{t}, shelves, &revisionsProjector{tables: t}},
		Tables:     []projection.Table{t.reciters, t.albums, shelves.shelves, shelves.albums, t.tombstones, t.revisions},
		Indexes:    readerIndexes,
	}
}
