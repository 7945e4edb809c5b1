package library

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// What becomes of an event that cannot be applied as it was recorded. Commands
// are checked against a projection that may lag, by two versions at once, so
// every log has such events.
const (
	// AlreadyExists: a creation with an id that is in use changes nothing.
	AlreadyExists projection.Outcome = "already-exists"
	// DeletedBefore: an id lives once; a creation after its deletion changes nothing.
	DeletedBefore projection.Outcome = "deleted-before"
	// UnknownReciter: the reciter does not exist (any more); nothing changes.
	UnknownReciter projection.Outcome = "unknown-reciter"
	// UnknownAlbum: the album does not exist (any more); nothing changes.
	UnknownAlbum projection.Outcome = "unknown-album"
	// NameClash: another reciter has the slug; the name stays and the slug gets a suffix of the id.
	NameClash projection.Outcome = "name-clash"
	// RequiredKept: a name, title or year cannot be cleared; it stays as it was.
	RequiredKept projection.Outcome = "required-kept"
)

// recitersProjector keeps the table reciters.
type recitersProjector struct{ *tables }

func (p *recitersProjector) Name() string { return "reciters" }

func (p *recitersProjector) Handles() []projection.Kind {
	return kinds(ReciterCreated, ReciterModified, ReciterAvatarUploaded, ReciterDeleted)
}

func (p *recitersProjector) Needs(e *projection.Event) bool {
	switch body := e.Body.(type) {
	case *reciterCreated:
		p.reciters.Want(body.ID)
		p.tombstones.Want(body.ID)
		p.wantSlugs(body.Slugs)
	case *reciterModified:
		p.reciters.Want(body.ID)
		if body.Changes[name].value != nil {
			p.wantSlugs(body.Slugs)
		}
	case *avatarUploaded:
		p.reciters.Want(body.ID)
	case *reciterDeleted:
		p.reciters.Want(body.ID)
		p.tombstones.Want(body.ID)
	}
	return false
}

// wantSlugs asks who has the slugs that may be taken; the last candidate
// cannot be.
func (p *recitersProjector) wantSlugs(candidates [3]string) {
	for _, slug := range candidates[:2] {
		p.bySlug.Want(slug)
	}
}

func (p *recitersProjector) Apply(e *projection.Event) (projection.Outcome, error) {
	switch body := e.Body.(type) {
	case *reciterCreated:
		return p.create(e, body), nil
	case *reciterModified:
		return p.modify(e, body), nil
	case *avatarUploaded:
		return p.upload(e, body), nil
	case *reciterDeleted:
		return p.remove(e, body), nil
	}
	return "", fmt.Errorf("payload of type %T", e.Body)
}

func (p *recitersProjector) create(e *projection.Event, body *reciterCreated) projection.Outcome {
	if _, exists := p.reciters.Get(body.ID); exists {
		return AlreadyExists
	}
	if _, dead := p.tombstones.Get(body.ID); dead {
		return DeletedBefore
	}
	slug, outcome := p.freeSlug(body.Slugs, body.ID)
	p.store(reciter{ID: body.ID, Name: body.Attributes.Name, Slug: slug, Description: body.Attributes.Description,
		Avatar: body.Attributes.Avatar, CreatedAt: e.RecordedAt}, e)
	return outcome
}

func (p *recitersProjector) modify(e *projection.Event, body *reciterModified) projection.Outcome {
	r, exists := p.reciters.Get(body.ID)
	if !exists {
		return UnknownReciter
	}
	var outcome projection.Outcome
	if changed := body.Changes[name]; changed.given && changed.value == nil {
		outcome = RequiredKept
	} else if changed.given && *changed.value != r.Name {
		r.Name = *changed.value
		r.Slug, outcome = p.freeSlug(body.Slugs, r.ID)
	}
	body.Changes[description].optional(&r.Description)
	body.Changes[avatar].optional(&r.Avatar)
	p.store(r, e)
	return outcome
}

func (p *recitersProjector) upload(e *projection.Event, body *avatarUploaded) projection.Outcome {
	r, exists := p.reciters.Get(body.ID)
	if !exists {
		return UnknownReciter
	}
	r.Avatar = &body.Path
	p.store(r, e)
	return ""
}

func (p *recitersProjector) remove(e *projection.Event, body *reciterDeleted) projection.Outcome {
	r, exists := p.reciters.Get(body.ID)
	if !exists {
		return UnknownReciter
	}
	p.reciters.Delete(r.ID)
	p.tombstones.Put(tombstone{ID: r.ID, DeletedAt: e.RecordedAt})
	r.Revision++
	p.changes = append(p.changes, change{reciter: r, deleted: true})
	return ""
}

// freeSlug is the first candidate that no other reciter has. One that the
// reciter has itself is free to it.
func (p *recitersProjector) freeSlug(candidates [3]string, id uuid.UUID) (string, projection.Outcome) {
	for i, slug := range candidates[:2] {
		if p.ownedByOther(slug, id) {
			continue
		}
		if i == 0 {
			return slug, ""
		}
		return slug, NameClash
	}
	return candidates[2], NameClash
}

func (p *recitersProjector) ownedByOther(slug string, id uuid.UUID) bool {
	for _, r := range p.bySlug.Find(slug) {
		if r.ID != id {
			return true
		}
	}
	return false
}

func (p *recitersProjector) store(r reciter, e *projection.Event) {
	r.Revision++
	r.UpdatedAt = e.RecordedAt
	p.reciters.Put(r)
	p.changes = append(p.changes, change{reciter: r})
}

// kinds are events of version 1 by their names.
func kinds(names ...string) []projection.Kind {
	all := make([]projection.Kind, len(names))
	for i, name := range names {
		all[i] = projection.Kind{Name: name, Version: 1}
	}
	return all
}
