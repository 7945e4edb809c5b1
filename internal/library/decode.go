package library

import (
	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Decoded payloads, one type a kind of event. The projectors switch on them.
type (
	reciterCreated struct {
		ID         uuid.UUID
		Attributes ReciterAttributes
		// Slugs are those it may get.
		Slugs [3]string
	}
	reciterModified struct {
		ID      uuid.UUID
		Changes texts
		// Slugs are those it may get if its name changes.
		Slugs [3]string
	}
	reciterDeleted struct{ ID uuid.UUID }
	avatarUploaded struct {
		ID   uuid.UUID
		Path string
	}
	albumCreated struct {
		ID, ReciterID uuid.UUID
		Attributes    AlbumAttributes
	}
	albumModified struct {
		ID      uuid.UUID
		Changes texts
	}
	albumDeleted    struct{ ID uuid.UUID }
	artworkUploaded struct {
		ID   uuid.UUID
		Path string
	}
)

var decoders = map[projection.Kind]projection.Decoder{
	{Name: ReciterCreated, Version: 1}:        decodeReciterCreated,
	{Name: ReciterModified, Version: 1}:       decodeReciterModified,
	{Name: ReciterDeleted, Version: 1}:        decodeReciterDeleted,
	{Name: ReciterAvatarUploaded, Version: 1}: decodeAvatarUploaded,
	{Name: AlbumCreated, Version: 1}:          decodeAlbumCreated,
	{Name: AlbumModified, Version: 1}:         decodeAlbumModified,
	{Name: AlbumDeleted, Version: 1}:          decodeAlbumDeleted,
	{Name: AlbumArtworkUploaded, Version: 1}:  decodeArtworkUploaded,
}

func decodeReciterCreated(raw []byte) (any, error) {
	p, id, err := open(raw, ofReciters)
	if err != nil {
		return nil, err
	}
	if err := p.require(name); err != nil {
		return nil, err
	}
	a := &p.attributes
	return &reciterCreated{id, ReciterAttributes{Name: *a[name].value, Description: a[description].value, Avatar: a[avatar].value},
		slugCandidates("reciter", *a[name].value, id)}, nil
}

func decodeAlbumCreated(raw []byte) (any, error) {
	p, id, err := open(raw, ofAlbums)
	if err != nil {
		return nil, err
	}
	reciter, err := p.reciterID.key("reciterId")
	if err != nil {
		return nil, err
	}
	if err := p.require(title, year); err != nil {
		return nil, err
	}
	a := &p.attributes
	return &albumCreated{id, reciter, AlbumAttributes{Title: *a[title].value, Year: *a[year].value, Artwork: a[artwork].value}}, nil
}

func decodeReciterModified(raw []byte) (any, error) {
	p, id, err := open(raw, ofReciters)
	if err != nil {
		return nil, err
	}
	body := &reciterModified{ID: id, Changes: p.attributes}
	if changed := p.attributes[name].value; changed != nil {
		body.Slugs = slugCandidates("reciter", *changed, id)
	}
	return body, p.require()
}

func decodeAlbumModified(raw []byte) (any, error) {
	p, id, err := open(raw, ofAlbums)
	if err != nil {
		return nil, err
	}
	return &albumModified{id, p.attributes}, p.require()
}

func decodeReciterDeleted(raw []byte) (any, error) {
	_, id, err := open(raw, nil)
	return &reciterDeleted{id}, err
}

func decodeAlbumDeleted(raw []byte) (any, error) {
	_, id, err := open(raw, nil)
	return &albumDeleted{id}, err
}

func decodeAvatarUploaded(raw []byte) (any, error) {
	id, path, err := openUpload(raw)
	return &avatarUploaded{id, path}, err
}

func decodeArtworkUploaded(raw []byte) (any, error) {
	id, path, err := openUpload(raw)
	return &artworkUploaded{id, path}, err
}

// open reads what all payloads share.
func open(raw []byte, known []attribute) (payload, uuid.UUID, error) {
	p, err := parsePayload(raw, known)
	if err != nil {
		return p, uuid.Nil, err
	}
	id, err := p.id.key("id")
	return p, id, err
}

func openUpload(raw []byte) (uuid.UUID, string, error) {
	p, id, err := open(raw, nil)
	if err != nil {
		return uuid.Nil, "", err
	}
	if p.path.value == nil {
		return uuid.Nil, "", missing("path")
	}
	return id, *p.path.value, nil
}

// require finds out whether there are attributes, and these among them.
func (p *payload) require(all ...attribute) error {
	if !p.hasAttributes {
		return missing("attributes")
	}
	for _, a := range all {
		if p.attributes[a].value == nil {
			return missing(attributeMembers[a])
		}
	}
	return nil
}
