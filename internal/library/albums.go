package library

import (
	"fmt"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// albumsProjector keeps the table albums. A reciter's albums go with it.
type albumsProjector struct{ *tables }

func (p *albumsProjector) Name() string { return "albums" }

func (p *albumsProjector) Handles() []projection.Kind {
	return kinds(AlbumCreated, AlbumModified, AlbumArtworkUploaded, AlbumDeleted, ReciterDeleted)
}

func (p *albumsProjector) Needs(e *projection.Event) bool {
	switch body := e.Body.(type) {
	case *albumCreated:
		p.albums.Want(body.ID)
		p.tombstones.Want(body.ID)
		p.reciters.Want(body.ReciterID)
	case *albumModified:
		p.albums.Want(body.ID)
	case *artworkUploaded:
		p.albums.Want(body.ID)
	case *albumDeleted:
		p.albums.Want(body.ID)
		p.tombstones.Want(body.ID)
	case *reciterDeleted:
		p.ofReciter.Want(body.ID)
		albums, known := p.ofReciter.Known(body.ID)
		for _, a := range albums {
			p.tombstones.Want(a.ID)
		}
		return !known
	}
	return false
}

func (p *albumsProjector) Apply(e *projection.Event) (projection.Outcome, error) {
	switch body := e.Body.(type) {
	case *albumCreated:
		return p.create(e, body), nil
	case *albumModified:
		return p.modify(e, body), nil
	case *artworkUploaded:
		return p.upload(e, body), nil
	case *albumDeleted:
		return p.remove(e, body), nil
	case *reciterDeleted:
		p.cascade(e, body)
		return "", nil
	}
	return "", fmt.Errorf("payload of type %T", e.Body)
}

func (p *albumsProjector) create(e *projection.Event, body *albumCreated) projection.Outcome {
	if _, exists := p.albums.Get(body.ID); exists {
		return AlreadyExists
	}
	if _, dead := p.tombstones.Get(body.ID); dead {
		return DeletedBefore
	}
	if _, exists := p.reciters.Get(body.ReciterID); !exists {
		return UnknownReciter
	}
	p.store(album{ID: body.ID, ReciterID: body.ReciterID, Title: body.Attributes.Title, Year: body.Attributes.Year,
		Artwork: body.Attributes.Artwork, CreatedAt: e.RecordedAt}, e)
	return ""
}

func (p *albumsProjector) modify(e *projection.Event, body *albumModified) projection.Outcome {
	a, exists := p.albums.Get(body.ID)
	if !exists {
		return UnknownAlbum
	}
	var outcome projection.Outcome
	titled, dated := body.Changes[title].required(&a.Title), body.Changes[year].required(&a.Year)
	if !titled || !dated {
		outcome = RequiredKept
	}
	body.Changes[artwork].optional(&a.Artwork)
	p.store(a, e)
	return outcome
}

func (p *albumsProjector) upload(e *projection.Event, body *artworkUploaded) projection.Outcome {
	a, exists := p.albums.Get(body.ID)
	if !exists {
		return UnknownAlbum
	}
	a.Artwork = &body.Path
	p.store(a, e)
	return ""
}

func (p *albumsProjector) remove(e *projection.Event, body *albumDeleted) projection.Outcome {
	a, exists := p.albums.Get(body.ID)
	if !exists {
		return UnknownAlbum
	}
	p.bury(a, e)
	return ""
}

// cascade deletes the albums of a reciter that was deleted just now, or was
// not there: then there are none.
func (p *albumsProjector) cascade(e *projection.Event, body *reciterDeleted) {
	for _, a := range p.ofReciter.Find(body.ID) {
		p.bury(a, e)
	}
}

func (p *albumsProjector) bury(a album, e *projection.Event) {
	p.albums.Delete(a.ID)
	p.tombstones.Put(tombstone{ID: a.ID, DeletedAt: e.RecordedAt})
	a.Revision++
	p.changes = append(p.changes, change{album: a, isAlbum: true, deleted: true})
}

func (p *albumsProjector) store(a album, e *projection.Event) {
	a.Revision++
	a.UpdatedAt = e.RecordedAt
	p.albums.Put(a)
	p.changes = append(p.changes, change{album: a, isAlbum: true})
}
