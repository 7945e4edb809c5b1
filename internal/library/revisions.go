package library

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// change is what one event did to one entity: the entity as it is now or, if
// it was deleted, as it was last.
type change struct {
	reciter *reciter
	album   *album
	deleted bool
}

// revisionsProjector keeps the table revisions: one row for every change of an
// entity, numbered from 1 without holes. It comes after the projectors that
// change the entities.
type revisionsProjector struct {
	*tables
	// content is the last revision's, kept to be written over.
	content []byte
}

func (p *revisionsProjector) Name() string { return "revisions" }

func (p *revisionsProjector) Handles() []projection.Kind {
	return kinds(ReciterCreated, ReciterModified, ReciterAvatarUploaded, ReciterDeleted,
		AlbumCreated, AlbumModified, AlbumArtworkUploaded, AlbumDeleted)
}

func (p *revisionsProjector) Needs(*projection.Event) {}

func (p *revisionsProjector) Apply(e *projection.Event) (projection.Outcome, error) {
	changes := p.changes
	p.changes = p.changes[:0]
	for _, c := range changes {
		p.record(e, c)
	}
	return "", nil
}

func (p *revisionsProjector) record(e *projection.Event, c change) {
	entity, version, content := c.revision(p.content)
	p.content = content
	row := p.revisions.Row()
	row.UUID(revisionID(entity, version))
	row.Text(entity)
	row.Int32(version)
	row.JSON(content)
	row.Time(e.RecordedAt)
}

// revisionNamespace is the space that the ids of revisions are derived in.
var revisionNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/revisions"))

func revisionID(entity string, version int32) uuid.UUID {
	return uuid.NewSHA1(revisionNamespace, strconv.AppendInt(append([]byte(entity), '/'), int64(version), 10))
}

// revision is the entity's name, the number of the revision and the whole
// entity. The content is written by hand: it is half of a replay's work.
func (c *change) revision(buf []byte) (entity string, version int32, content []byte) {
	b := buf[:0]
	b = append(b, '{')
	if c.deleted {
		b = append(b, `"deleted":true,`...)
	}
	if r := c.reciter; r != nil {
		entity, version = "reciter:"+r.ID.String(), r.Revision
		b = appendMember(b, "id", r.ID.String())
		b = appendMember(b, "name", r.Name)
		b = appendMember(b, "slug", r.Slug)
		b = appendOptional(b, "description", r.Description)
		b = appendOptional(b, "avatar", r.Avatar)
		b = appendTimes(b, r.CreatedAt, r.UpdatedAt)
	} else {
		a := c.album
		entity, version = "album:"+a.ID.String(), a.Revision
		b = appendMember(b, "id", a.ID.String())
		b = appendMember(b, "reciter_id", a.ReciterID.String())
		b = appendMember(b, "title", a.Title)
		b = appendMember(b, "year", a.Year)
		b = appendOptional(b, "artwork", a.Artwork)
		b = appendTimes(b, a.CreatedAt, a.UpdatedAt)
	}
	return entity, version, b
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
