package library

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// change is what one event did to one entity: the entity as it is now or, if
// it was deleted, as it was last.
type change struct {
	// reciter or album is what it is now, or was; isAlbum tells which.
	reciter          reciter
	album            album
	isAlbum, deleted bool
}

// revisionsProjector keeps the table revisions: one row for every change of an
// entity, numbered from 1 without holes. It comes after the projectors that
// change the entities.
type revisionsProjector struct {
	*tables
	// Of the last revision, kept to be written over.
	entity, content []byte
}

func (p *revisionsProjector) Name() string { return "revisions" }

func (p *revisionsProjector) Handles() []projection.Kind {
	return kinds(ReciterCreated, ReciterModified, ReciterAvatarUploaded, ReciterDeleted,
		AlbumCreated, AlbumModified, AlbumArtworkUploaded, AlbumDeleted)
}

func (p *revisionsProjector) Needs(*projection.Event) bool { return false }

func (p *revisionsProjector) Apply(e *projection.Event) (projection.Outcome, error) {
	changes := p.changes
	p.changes = p.changes[:0]
	for i := range changes {
		p.record(e, &changes[i])
	}
	return "", nil
}

func (p *revisionsProjector) record(e *projection.Event, c *change) {
	p.entity, p.content = c.describe(p.entity[:0], p.content[:0])
	row := p.revisions.Row()
	row.UUID(revisionID(p.entity, c.version()))
	row.Bytes(p.entity)
	row.Int32(c.version())
	row.Bytes(p.content)
	row.Time(e.RecordedAt)
}

// revisionNamespace is the space that the ids of revisions are derived in.
var revisionNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/revisions"))

func revisionID(entity []byte, version int32) uuid.UUID {
	var name [64]byte
	return projection.DeriveID(revisionNamespace, strconv.AppendInt(append(append(name[:0], entity...), '/'), int64(version), 10))
}

func (c *change) version() int32 {
	if c.isAlbum {
		return c.album.Revision
	}
	return c.reciter.Revision
}

// describe appends the entity's name and the whole entity. The content is
// written by hand: it is a good part of a replay's work.
func (c *change) describe(entity, b []byte) (name, content []byte) {
	b = append(b, '{')
	if c.deleted {
		b = append(b, `"deleted":true,`...)
	}
	if !c.isAlbum {
		r := &c.reciter
		entity = appendID(append(entity, "reciter:"...), r.ID)
		b = appendReference(b, "id", r.ID)
		b = appendMember(b, "name", r.Name)
		b = appendMember(b, "slug", r.Slug)
		b = appendOptional(b, "description", r.Description)
		b = appendOptional(b, "avatar", r.Avatar)
		return entity, appendTimes(b, r.CreatedAt, r.UpdatedAt)
	}
	a := &c.album
	entity = appendID(append(entity, "album:"...), a.ID)
	b = appendReference(b, "id", a.ID)
	b = appendReference(b, "reciter_id", a.ReciterID)
	b = appendMember(b, "title", a.Title)
	b = appendMember(b, "year", a.Year)
	b = appendOptional(b, "artwork", a.Artwork)
	return entity, appendTimes(b, a.CreatedAt, a.UpdatedAt)
}

func appendID(b []byte, id uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(b, text[:]...)
}

func appendReference(b []byte, name string, id uuid.UUID) []byte {
	return append(appendID(append(append(append(b, '"'), name...), `":"`...), id), `",`...)
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), `":`...)
	return append(appendString(b, value), ',')
}

func appendOptional(b []byte, name string, value *string) []byte {
	if value != nil {
		return appendMember(b, name, *value)
	}
	return append(append(append(b, '"'), name...), `":null,`...)
}

// appendTimes ends the object.
func appendTimes(b []byte, created, updated time.Time) []byte {
	b = created.UTC().AppendFormat(append(b, `"created_at":"`...), time.RFC3339Nano)
	b = updated.UTC().AppendFormat(append(b, `","updated_at":"`...), time.RFC3339Nano)
	return append(b, `"}`...)
}

// appendString writes a JSON string. The text is valid UTF-8 and has no NUL:
// it comes from a decoder or from Postgres.
func appendString(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + 1
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, text[from:]...), '"')
}
