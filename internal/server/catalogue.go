package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errNotThere is what a read finds when its entity is not in the database.
var errNotThere = errors.New("not there")

// Reciter is a reciter as the version's database has it.
type Reciter struct {
	ID          uuid.UUID `json:"id" format:"uuid"`
	Name        string    `json:"name"`
	Slug        string    `json:"slug" doc:"The name in a form for addresses; unique."`
	Description *string   `json:"description"`
	Avatar      *string   `json:"avatar" doc:"The avatar's key under /v1/uploads."`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	AlbumCount  *int32    `json:"albumCount,omitempty" doc:"How many albums the reciter has. Since 3.2.0."`
}

// Album is an album as the version's database has it.
type Album struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	ReciterID uuid.UUID `json:"reciterId" format:"uuid"`
	Title     string    `json:"title"`
	Year      string    `json:"year"`
	Artwork   *string   `json:"artwork" doc:"The artwork's key under /v1/uploads."`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Slug      *string   `json:"slug,omitempty" doc:"The title in a form for addresses; unique for the reciter. Since 3.2.0."`
}

// Revision is an entity as it was after one event.
type Revision struct {
	ID        uuid.UUID       `json:"id" format:"uuid"`
	Version   int             `json:"version" doc:"Counts the entity's revisions from 1."`
	Content   json.RawMessage `json:"content" doc:"The whole entity after the event."`
	CreatedAt time.Time       `json:"createdAt" doc:"When the event was recorded."`
}

// catalogue reads the version's database.
type catalogue struct {
	db *pgxpool.Pool
	// reciterColumns and albumColumns are what the edition's tables have.
	reciterColumns, albumColumns string
	// isAlbum finds an album of a reciter by id or, where albums have slugs, by slug.
	isAlbum string
	// fell is told a position that is lower than the one which a reader demands.
	fell func(int64)
}

func newCatalogue(db *pgxpool.Pool, shelves bool) *catalogue {
	c := &catalogue{db: db, fell: func(int64) {}, reciterColumns: reciterColumns + `, NULL::integer`, albumColumns: albumColumns + `, NULL::text`,
		isAlbum: `(a.id = $3 AND $4::text IS NULL)`}
	if shelves {
		c.reciterColumns = reciterColumns + `, coalesce((SELECT s.albums FROM shelves s WHERE s.id = r.id), 0)`
		c.albumColumns = albumColumns + `, (SELECT s.slug FROM shelved_albums s WHERE s.id = a.id)`
		c.isAlbum = `(a.id = $3 OR a.id = (SELECT s.id FROM shelved_albums s WHERE s.reciter_id = r.id AND s.slug = $4))`
	}
	return c
}

// reference names a reciter or an album by id or by slug; the other one is null.
type reference struct {
	id   *uuid.UUID
	slug *string
}

func referTo(text string) reference {
	// The 36-character form only: uuid.Parse also takes forms that are valid slugs.
	if id, err := uuid.Parse(text); err == nil && len(text) == 36 {
		return reference{id: &id}
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return reference{} // nothing that Postgres could look for
	}
	return reference{slug: &text}
}

const (
	reciterColumns = `r.id, r.name, r.slug, r.description, r.avatar, r.created_at, r.updated_at`
	albumColumns   = `a.id, a.reciter_id, a.title, a.year, a.artwork, a.created_at, a.updated_at`
	isReciter      = `(r.id = $1 OR r.slug = $2)`
)

type demandKey struct{}

// demanding has reads refuse a snapshot that is below a position. To have waited
// for the position is not enough: a server that fails over may be behind where it
// was.
func demanding(ctx context.Context, position int64) context.Context {
	return context.WithValue(ctx, demandKey{}, position)
}

// read runs queries in one snapshot and one round trip, and returns the
// position of that snapshot.
func (c *catalogue) read(ctx context.Context, ask func(*pgx.Batch)) (int64, error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	var position int64
	batch.Queue("SELECT position FROM checkpoint").QueryRow(func(row pgx.Row) error { return row.Scan(&position) })
	ask(batch)
	batch.Queue("COMMIT")
	err := c.db.SendBatch(ctx, batch).Close()
	if demanded, _ := ctx.Value(demandKey{}).(int64); position < demanded && (err == nil || errors.Is(err, errNotThere)) {
		c.fell(position)
		return position, &behindError{wanted: demanded}
	}
	if err != nil {
		if errors.Is(err, errNotThere) {
			return position, errNotThere
		}
		return position, fmt.Errorf("read the version's database: %w", err)
	}
	return position, nil
}

func (c *catalogue) position(ctx context.Context) (int64, error) {
	var position int64
	err := c.db.QueryRow(ctx, "SELECT position FROM checkpoint").Scan(&position)
	return position, err
}

func (c *catalogue) stage(ctx context.Context) (stage string, position int64, err error) {
	err = c.db.QueryRow(ctx, "SELECT stage, position FROM checkpoint").Scan(&stage, &position)
	return stage, position, err
}

// reciters are in the order of their slugs: that is by name, whatever the case
// and the accents, and it has an index.
func (c *catalogue) reciters(ctx context.Context, paging Paging) (int64, Page[Reciter], error) {
	page := Page[Reciter]{Items: []Reciter{}, Page: paging.Page, PerPage: paging.PerPage}
	position, err := c.read(ctx, func(batch *pgx.Batch) {
		one(batch, &page.Total, `SELECT count(*) FROM reciters`)
		many(batch, &page.Items, `SELECT `+c.reciterColumns+` FROM reciters r ORDER BY r.slug LIMIT $1 OFFSET $2`,
			paging.PerPage, paging.offset())
	})
	return position, page, err
}

func (c *catalogue) reciter(ctx context.Context, which reference) (int64, Reciter, error) {
	var reciter Reciter
	position, err := c.read(ctx, func(batch *pgx.Batch) {
		entity(batch, &reciter, `SELECT `+c.reciterColumns+` FROM reciters r WHERE `+isReciter, which.id, which.slug)
	})
	return position, reciter, err
}

// nameTaken tells whether another reciter has the name; case does not matter.
func (c *catalogue) nameTaken(ctx context.Context, name string, except uuid.UUID) (bool, error) {
	var taken bool
	_, err := c.read(ctx, func(batch *pgx.Batch) {
		one(batch, &taken, `SELECT EXISTS (SELECT FROM reciters WHERE lower(name) = lower($1) AND id <> $2)`, name, except)
	})
	return taken, err
}

func (c *catalogue) albums(ctx context.Context, of reference, paging Paging) (int64, Page[Album], error) {
	page := Page[Album]{Items: []Album{}, Page: paging.Page, PerPage: paging.PerPage}
	var reciter uuid.UUID
	position, err := c.read(ctx, func(batch *pgx.Batch) {
		one(batch, &reciter, `SELECT r.id FROM reciters r WHERE `+isReciter, of.id, of.slug)
		one(batch, &page.Total, `SELECT count(*) FROM albums a JOIN reciters r ON r.id = a.reciter_id WHERE `+isReciter, of.id, of.slug)
		many(batch, &page.Items, `SELECT `+c.albumColumns+` FROM albums a JOIN reciters r ON r.id = a.reciter_id WHERE `+isReciter+
			` ORDER BY a.year DESC, a.title, a.id LIMIT $3 OFFSET $4`, of.id, of.slug, paging.PerPage, paging.offset())
	})
	return position, page, err
}

func (c *catalogue) album(ctx context.Context, of, which reference) (int64, Album, error) {
	var album Album
	position, err := c.read(ctx, func(batch *pgx.Batch) {
		entity(batch, &album, `SELECT `+c.albumColumns+` FROM albums a JOIN reciters r ON r.id = a.reciter_id WHERE `+isReciter+` AND `+c.isAlbum,
			of.id, of.slug, which.id, which.slug)
	})
	return position, album, err
}

// revisions are those of one entity, the newest first. An entity without any
// was never there; a deleted one still has its own.
func (c *catalogue) revisions(ctx context.Context, entity string, paging Paging) (int64, Page[Revision], error) {
	page := Page[Revision]{Items: []Revision{}, Page: paging.Page, PerPage: paging.PerPage}
	position, err := c.read(ctx, func(batch *pgx.Batch) {
		one(batch, &page.Total, `SELECT count(*) FROM revisions WHERE entity = $1`, entity)
		many(batch, &page.Items, `SELECT id, version, content, created_at FROM revisions WHERE entity = $1
			ORDER BY version DESC LIMIT $2 OFFSET $3`, entity, paging.PerPage, paging.offset())
	})
	if err == nil && page.Total == 0 {
		return position, page, errNotThere
	}
	return position, page, err
}

func one[T any](batch *pgx.Batch, into *T, sql string, args ...any) {
	batch.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return absent(row.Scan(into)) })
}

func entity[T any](batch *pgx.Batch, into *T, sql string, args ...any) {
	batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[T])
		*into = found
		return absent(err)
	})
}

func many[T any](batch *pgx.Batch, into *[]T, sql string, args ...any) {
	batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		if len(found) > 0 {
			*into = found
		}
		return err
	})
}

func absent(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errNotThere
	}
	return err
}
