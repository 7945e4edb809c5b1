package library

import (
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// reciter is a row of the table reciters.
type reciter struct {
	ID          uuid.UUID
	Name, Slug  string
	Description *string
	Avatar      *string
	Revision    int32
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// album is a row of the table albums.
type album struct {
	ID        uuid.UUID
	ReciterID uuid.UUID
	Title     string
	Year      string
	Artwork   *string
	Revision  int32
	CreatedAt time.Time
	UpdatedAt time.Time
}

// tombstone is a row of the table tombstones.
type tombstone struct {
	ID        uuid.UUID
	DeletedAt time.Time
}

// tables are the rows that the projectors of one run share.
type tables struct {
	reciters   *projection.Rows[reciter]
	bySlug     *projection.Lookup[reciter, string]
	albums     *projection.Rows[album]
	ofReciter  *projection.Lookup[album, uuid.UUID]
	tombstones *projection.Rows[tombstone]
	revisions  *projection.Appends
	// changes are what the event at work did to entities, for their revisions.
	changes []change
}

func newTables() *tables {
	t := &tables{
		reciters:   projection.NewRows(reciterShape),
		albums:     projection.NewRows(albumShape),
		tombstones: projection.NewRows(tombstoneShape),
		revisions:  projection.NewAppends("revisions", "id", "entity", "version", "content", "created_at"),
	}
	t.bySlug = projection.NewLookup(t.reciters, "slug", func(r *reciter) string { return r.Slug })
	t.ofReciter = projection.NewLookup(t.albums, "reciter_id", func(a *album) uuid.UUID { return a.ReciterID })
	return t
}

var reciterShape = projection.Shape[reciter]{
	Name:    "reciters",
	Columns: []string{"id", "name", "slug", "description", "avatar", "revision", "created_at", "updated_at"},
	Key:     func(r *reciter) uuid.UUID { return r.ID },
	Encode: func(e *projection.Encoder, r *reciter) {
		e.UUID(r.ID)
		e.Text(r.Name)
		e.Text(r.Slug)
		e.OptionalText(r.Description)
		e.OptionalText(r.Avatar)
		e.Int32(r.Revision)
		e.Time(r.CreatedAt)
		e.Time(r.UpdatedAt)
	},
	Decode: func(f *projection.Fields) reciter {
		return reciter{ID: f.UUID(), Name: f.Text(), Slug: f.Text(), Description: f.OptionalText(), Avatar: f.OptionalText(),
			Revision: f.Int32(), CreatedAt: f.Time(), UpdatedAt: f.Time()}
	},
}

var albumShape = projection.Shape[album]{
	Name:    "albums",
	Columns: []string{"id", "reciter_id", "title", "year", "artwork", "revision", "created_at", "updated_at"},
	Key:     func(a *album) uuid.UUID { return a.ID },
	Encode: func(e *projection.Encoder, a *album) {
		e.UUID(a.ID)
		e.UUID(a.ReciterID)
		e.Text(a.Title)
		e.Text(a.Year)
		e.OptionalText(a.Artwork)
		e.Int32(a.Revision)
		e.Time(a.CreatedAt)
		e.Time(a.UpdatedAt)
	},
	Decode: func(f *projection.Fields) album {
		return album{ID: f.UUID(), ReciterID: f.UUID(), Title: f.Text(), Year: f.Text(), Artwork: f.OptionalText(),
			Revision: f.Int32(), CreatedAt: f.Time(), UpdatedAt: f.Time()}
	},
}

var tombstoneShape = projection.Shape[tombstone]{
	Name:    "tombstones",
	Columns: []string{"id", "deleted_at"},
	Key:     func(t *tombstone) uuid.UUID { return t.ID },
	Encode: func(e *projection.Encoder, t *tombstone) {
		e.UUID(t.ID)
		e.Time(t.DeletedAt)
	},
	Decode: func(f *projection.Fields) tombstone { return tombstone{ID: f.UUID(), DeletedAt: f.Time()} },
}

// newModel is the model of edition 3.1.2.
func newModel() *projection.Model {
	t := newTables()
	return &projection.Model{
		Version:    "3.1.2",
		Decoders:   decoders,
		Projectors: []projection.Projector{&recitersProjector{t}, &albumsProjector{t}, &revisionsProjector{tables: t}},
		Tables:     []projection.Table{t.reciters, t.albums, t.tombstones, t.revisions},
		Indexes:    readerIndexes,
	}
}

// readerIndexes are made when a replay ends. Names are not indexed in order:
// nothing bounds their length, and readers sort by slug.
var readerIndexes = []projection.Index{
	{Table: "projected_events", Name: "projected_events_event_id_projector_key",
		SQL: "ALTER TABLE projected_events ADD CONSTRAINT projected_events_event_id_projector_key UNIQUE (event_id, projector)"},
	{Table: "projected_events", Name: "projected_events_pkey", SQL: "ALTER TABLE projected_events ADD CONSTRAINT projected_events_pkey PRIMARY KEY (id)"},
	{Table: "revisions", Name: "revisions_entity_version_key",
		SQL: "ALTER TABLE revisions ADD CONSTRAINT revisions_entity_version_key UNIQUE (entity, version)"},
	{Table: "revisions", Name: "revisions_pkey", SQL: "ALTER TABLE revisions ADD CONSTRAINT revisions_pkey PRIMARY KEY (id)"},
	{Table: "reciters", Name: "reciters_lower_name_idx", SQL: "CREATE INDEX reciters_lower_name_idx ON reciters USING hash (lower(name))"},
}
