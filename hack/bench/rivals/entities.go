package rivals

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/library"
)

// reciter is a row of the table reciters.
type reciter struct {
	id                  uuid.UUID
	name, slug          string
	description, avatar *string
	revision            int
	created, updated    time.Time
}

func (r *reciter) content(deleted bool) any {
	return struct {
		Deleted     bool      `json:"deleted,omitempty"`
		ID          uuid.UUID `json:"id"`
		Name        string    `json:"name"`
		Slug        string    `json:"slug"`
		Description *string   `json:"description"`
		Avatar      *string   `json:"avatar"`
		CreatedAt   time.Time `json:"created_at"`
		UpdatedAt   time.Time `json:"updated_at"`
	}{deleted, r.id, r.name, r.slug, r.description, r.avatar, r.created.UTC(), r.updated.UTC()}
}

// album is a row of the table albums.
type album struct {
	id, reciter      uuid.UUID
	title, year      string
	artwork          *string
	revision         int
	created, updated time.Time
}

func (r *album) content(deleted bool) any {
	return struct {
		Deleted   bool      `json:"deleted,omitempty"`
		ID        uuid.UUID `json:"id"`
		Reciter   uuid.UUID `json:"reciter_id"`
		Title     string    `json:"title"`
		Year      string    `json:"year"`
		Artwork   *string   `json:"artwork"`
		CreatedAt time.Time `json:"created_at"`
		UpdatedAt time.Time `json:"updated_at"`
	}{deleted, r.id, r.reciter, r.title, r.year, r.artwork, r.created.UTC(), r.updated.UTC()}
}

func (a *application) createReciter(ctx context.Context) error {
	free, err := a.newID(ctx, "reciters")
	if err != nil || !free {
		return err
	}
	r := reciter{id: a.body.ID, name: *a.body.Attributes["name"], description: a.body.Attributes["description"],
		avatar: a.body.Attributes["avatar"], revision: 1, created: a.at, updated: a.at}
	if r.slug, err = a.freeSlug(ctx, r.name); err != nil {
		return err
	}
	if err := a.exec(ctx, `INSERT INTO reciters (id, name, slug, description, avatar, revision, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, r.id, r.name, r.slug, r.description, r.avatar, r.revision, r.created, r.updated); err != nil {
		return err
	}
	return a.revision(ctx, "reciter", r.id, r.revision, r.content(false))
}

// findReciter selects the event's reciter, or counts that there is none.
func (a *application) findReciter(ctx context.Context) (*reciter, error) {
	r := reciter{id: a.body.ID}
	err := a.tx.QueryRow(ctx, "SELECT name, slug, description, avatar, revision, created_at, updated_at FROM reciters WHERE id = $1", r.id).
		Scan(&r.name, &r.slug, &r.description, &r.avatar, &r.revision, &r.created, &r.updated)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, a.happened(ctx, "reciters", library.UnknownReciter)
	}
	return &r, err
}

func (a *application) changeReciter(ctx context.Context) error {
	r, err := a.findReciter(ctx)
	if err != nil || r == nil {
		return err
	}
	if a.name == library.ReciterAvatarUploaded {
		r.avatar = &a.body.Path
	}
	if name, ok := a.body.Attributes["name"]; ok && name == nil {
		err = a.happened(ctx, "reciters", library.RequiredKept)
	} else if ok && *name != r.name {
		r.name = *name
		r.slug, err = a.freeSlug(ctx, r.name)
	}
	if err != nil {
		return err
	}
	change(&r.description, a.body.Attributes, "description")
	change(&r.avatar, a.body.Attributes, "avatar")
	r.revision, r.updated = r.revision+1, a.at
	if err := a.exec(ctx, "UPDATE reciters SET name = $2, slug = $3, description = $4, avatar = $5, revision = $6, updated_at = $7 WHERE id = $1",
		r.id, r.name, r.slug, r.description, r.avatar, r.revision, r.updated); err != nil {
		return err
	}
	return a.revision(ctx, "reciter", r.id, r.revision, r.content(false))
}

// change sets an attribute that the event names.
func change(attribute **string, changes map[string]*string, name string) {
	if value, ok := changes[name]; ok {
		*attribute = value
	}
}

func (a *application) deleteReciter(ctx context.Context) error {
	r, err := a.findReciter(ctx)
	if err != nil || r == nil {
		return err
	}
	if err := a.bury(ctx, "reciters", r.id); err != nil {
		return err
	}
	if err := a.revision(ctx, "reciter", r.id, r.revision+1, r.content(true)); err != nil {
		return err
	}
	rows, err := a.tx.Query(ctx, "SELECT "+albumColumns+" FROM albums WHERE reciter_id = $1", r.id)
	if err != nil {
		return err
	}
	albums, err := pgx.CollectRows(rows, scanAlbum)
	if err != nil {
		return err
	}
	for i := range albums {
		if err := a.buryAlbum(ctx, &albums[i]); err != nil {
			return err
		}
	}
	return nil
}

const albumColumns = "id, reciter_id, title, year, artwork, revision, created_at, updated_at"

func scanAlbum(row pgx.CollectableRow) (album, error) {
	var r album
	err := row.Scan(&r.id, &r.reciter, &r.title, &r.year, &r.artwork, &r.revision, &r.created, &r.updated)
	return r, err
}

func (a *application) createAlbum(ctx context.Context) error {
	free, err := a.newID(ctx, "albums")
	if err != nil || !free {
		return err
	}
	known, err := a.exists(ctx, "SELECT FROM reciters WHERE id = $1", a.body.ReciterID)
	if err != nil {
		return err
	}
	if !known {
		return a.happened(ctx, "albums", library.UnknownReciter)
	}
	r := album{id: a.body.ID, reciter: a.body.ReciterID, title: *a.body.Attributes["title"], year: *a.body.Attributes["year"],
		artwork: a.body.Attributes["artwork"], revision: 1, created: a.at, updated: a.at}
	if err := a.exec(ctx, "INSERT INTO albums ("+albumColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		r.id, r.reciter, r.title, r.year, r.artwork, r.revision, r.created, r.updated); err != nil {
		return err
	}
	return a.revision(ctx, "album", r.id, r.revision, r.content(false))
}

// findAlbum selects the event's album, or counts that there is none.
func (a *application) findAlbum(ctx context.Context) (*album, error) {
	rows, err := a.tx.Query(ctx, "SELECT "+albumColumns+" FROM albums WHERE id = $1", a.body.ID)
	if err != nil {
		return nil, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanAlbum)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, a.happened(ctx, "albums", library.UnknownAlbum)
	}
	return &r, err
}

func (a *application) changeAlbum(ctx context.Context) error {
	r, err := a.findAlbum(ctx)
	if err != nil || r == nil {
		return err
	}
	if a.name == library.AlbumArtworkUploaded {
		r.artwork = &a.body.Path
	}
	kept := false
	for name, text := range map[string]*string{"title": &r.title, "year": &r.year} {
		if value, ok := a.body.Attributes[name]; ok && value == nil {
			kept = true
		} else if ok {
			*text = *value
		}
	}
	if kept {
		if err := a.happened(ctx, "albums", library.RequiredKept); err != nil {
			return err
		}
	}
	change(&r.artwork, a.body.Attributes, "artwork")
	r.revision, r.updated = r.revision+1, a.at
	if err := a.exec(ctx, "UPDATE albums SET title = $2, year = $3, artwork = $4, revision = $5, updated_at = $6 WHERE id = $1",
		r.id, r.title, r.year, r.artwork, r.revision, r.updated); err != nil {
		return err
	}
	return a.revision(ctx, "album", r.id, r.revision, r.content(false))
}

func (a *application) deleteAlbum(ctx context.Context) error {
	r, err := a.findAlbum(ctx)
	if err != nil || r == nil {
		return err
	}
	return a.buryAlbum(ctx, r)
}

func (a *application) buryAlbum(ctx context.Context, r *album) error {
	if err := a.bury(ctx, "albums", r.id); err != nil {
		return err
	}
	return a.revision(ctx, "album", r.id, r.revision+1, r.content(true))
}
