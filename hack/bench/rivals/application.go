package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

// The spaces in which the product derives its ids.
var (
	projectedSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/projected_events"))
	revisionSpace  = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nawhas.com/revisions"))
)

// application applies one event in its transaction.
type application struct {
	tx pgx.Tx
	recorded
}

// apply brings the event to the projectors that handle it.
func (a *application) apply(ctx context.Context) error {
	var err error
	projectors := []string{"albums", "revisions"}
	switch a.name {
	case library.ReciterCreated:
		projectors[0], err = "reciters", a.createReciter(ctx)
	case library.ReciterModified, library.ReciterAvatarUploaded:
		projectors[0], err = "reciters", a.changeReciter(ctx)
	case library.ReciterDeleted:
		projectors, err = []string{"reciters", "albums", "revisions"}, a.deleteReciter(ctx)
	case library.AlbumCreated:
		err = a.createAlbum(ctx)
	case library.AlbumModified, library.AlbumArtworkUploaded:
		err = a.changeAlbum(ctx)
	case library.AlbumDeleted:
		err = a.deleteAlbum(ctx)
	default:
		err = fmt.Errorf("the loop does not know %s", a.name)
	}
	if err != nil {
		return err
	}
	return a.projected(ctx, projectors)
}

func (a *application) exec(ctx context.Context, sql string, args ...any) error {
	_, err := a.tx.Exec(ctx, sql, args...)
	return err
}

func (a *application) exists(ctx context.Context, sql string, args ...any) (bool, error) {
	var found bool
	err := a.tx.QueryRow(ctx, "SELECT EXISTS ("+sql+")", args...).Scan(&found)
	return found, err
}

func (a *application) projected(ctx context.Context, projectors []string) error {
	for _, projector := range projectors {
		id := uuid.NewSHA1(uuid.NewSHA1(projectedSpace, []byte(projector)), a.id[:])
		if err := a.exec(ctx, "INSERT INTO projected_events (id, event_id, projector, projected_at) VALUES ($1, $2, $3, now())", id, a.id, projector); err != nil {
			return err
		}
	}
	return nil
}

// happened counts an event that could not be applied as it was recorded.
func (a *application) happened(ctx context.Context, projector string, outcome projection.Outcome) error {
	return a.exec(ctx, `INSERT INTO outcomes AS o (projector, outcome, events) VALUES ($1, $2, 1)
		ON CONFLICT (projector, outcome) DO UPDATE SET events = o.events + 1`, projector, string(outcome))
}

func (a *application) revision(ctx context.Context, entity string, id uuid.UUID, version int, content any) error {
	var written strings.Builder
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		return err
	}
	entity += ":" + id.String()
	return a.exec(ctx, "INSERT INTO revisions (id, entity, version, content, created_at) VALUES ($1, $2, $3, $4, $5)",
		uuid.NewSHA1(revisionSpace, fmt.Appendf(nil, "%s/%d", entity, version)), entity, version, strings.TrimSpace(written.String()), a.at)
}

func (a *application) bury(ctx context.Context, table string, id uuid.UUID) error {
	if err := a.exec(ctx, "DELETE FROM "+table+" WHERE id = $1", id); err != nil {
		return err
	}
	return a.exec(ctx, "INSERT INTO tombstones (id, deleted_at) VALUES ($1, $2)", id, a.at)
}

// newID counts why an id is not free, or says that it is.
func (a *application) newID(ctx context.Context, table string) (bool, error) {
	for _, taken := range []struct {
		table   string
		outcome projection.Outcome
	}{{table, library.AlreadyExists}, {"tombstones", library.DeletedBefore}} {
		found, err := a.exists(ctx, "SELECT FROM "+taken.table+" WHERE id = $1", a.body.ID)
		if err != nil {
			return false, err
		}
		if found {
			return false, a.happened(ctx, table, taken.outcome)
		}
	}
	return true, nil
}

// freeSlug is the first address for a name that no other reciter has.
func (a *application) freeSlug(ctx context.Context, name string) (string, error) {
	base, digits := slug(name), strings.ReplaceAll(a.body.ID.String(), "-", "")
	for i, candidate := range []string{base, base + "--" + digits[:8], base + "--" + digits} {
		taken, err := a.exists(ctx, "SELECT FROM reciters WHERE slug = $1 AND id <> $2", candidate, a.body.ID)
		if err != nil {
			return "", err
		}
		if !taken {
			if i > 0 {
				return candidate, a.happened(ctx, "reciters", library.NameClash)
			}
			return candidate, nil
		}
	}
	return "", errors.New("all slugs of a reciter are taken")
}

// slug is right for the scripts that generated names are written in.
func slug(name string) string {
	var plain strings.Builder
	for _, r := range norm.NFKD.String(name) {
		if !unicode.IsMark(r) {
			plain.WriteRune(unicode.ToLower(r))
		}
	}
	words := strings.FieldsFunc(plain.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return norm.NFC.String(strings.Join(words, "-"))
}
