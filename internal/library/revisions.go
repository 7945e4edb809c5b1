package library

import (
	"encoding/json"
	"fmt"
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
type revisionsProjector struct{ *tables }

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
		if err := p.record(e, c); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (p *revisionsProjector) record(e *projection.Event, c change) error {
	entity, version, content, err := c.revision()
	if err != nil {
		return err
	}
	row := p.revisions.Row()
	row.UUID(revisionID(entity, version))
	row.Text(entity)
	row.Int32(version)
	row.JSON(content)
	row.Time(e.RecordedAt)
	return nil
}

// revisionNamespace is the space that the ids of revisions are derived in.
var revisionNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/revisions"))

func revisionID(entity string, version int32) uuid.UUID {
	return uuid.NewSHA1(revisionNamespace, strconv.AppendInt(append([]byte(entity), '/'), int64(version), 10))
}

// reciterContent is a reciter in a revision.
type reciterContent struct {
	Deleted     bool      `json:"deleted,omitempty"`
	ID          uuid.UUID `json:"id"`
	Name        string    `json:"name"`
	Slug        string    `json:"slug"`
	Description *string   `json:"description"`
	Avatar      *string   `json:"avatar"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// albumContent is an album in a revision.
type albumContent struct {
	Deleted   bool      `json:"deleted,omitempty"`
	ID        uuid.UUID `json:"id"`
	ReciterID uuid.UUID `json:"reciter_id"`
	Title     string    `json:"title"`
	Year      string    `json:"year"`
	Artwork   *string   `json:"artwork"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (c *change) revision() (entity string, version int32, content []byte, err error) {
	if r := c.reciter; r != nil {
		entity, version = "reciter:"+r.ID.String(), r.Revision
		content, err = json.Marshal(reciterContent{c.deleted, r.ID, r.Name, r.Slug, r.Description, r.Avatar,
			r.CreatedAt.UTC(), r.UpdatedAt.UTC()})
	} else {
		a := c.album
		entity, version = "album:"+a.ID.String(), a.Revision
		content, err = json.Marshal(albumContent{c.deleted, a.ID, a.ReciterID, a.Title, a.Year, a.Artwork,
			a.CreatedAt.UTC(), a.UpdatedAt.UTC()})
	}
	if err != nil {
		return "", 0, nil, fmt.Errorf("encode revision %d of %s: %w", version, entity, err)
	}
	return entity, version, content, nil
}
