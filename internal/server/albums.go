package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/library"
)

// AlbumPath is the part of an address that names an album.
type AlbumPath struct {
	ReciterPath
	Album string `path:"album" maxLength:"500" doc:"The album's id or, since 3.2.0, its slug."`
}

type newAlbum struct {
	Writing
	ReciterPath
	Body struct {
		Title string `json:"title" minLength:"1" maxLength:"400"`
		Year  string `json:"year" example:"1998" doc:"4 digits." maxLength:"10"`
	}
}

type changedAlbum struct {
	Writing
	AlbumPath
	Body struct {
		Title change `json:"title,omitempty" doc:"A new title."`
		Year  change `json:"year,omitempty" doc:"A new year of 4 digits."`
	}
}

type deletedAlbum struct {
	Writing
	AlbumPath
}

type listedAlbums struct {
	Reading
	ReciterPath
	Paging
}

type oneAlbum struct {
	Reading
	AlbumPath
}

func (s *Server) registerAlbums() {
	const all, one = "/v1/reciters/{reciter}/albums", "/v1/reciters/{reciter}/albums/{album}"
	tags := []string{"Albums"}
	register(s, huma.Operation{OperationID: "list-albums", Method: http.MethodGet, Path: all, Tags: tags, Errors: readErrors,
		Summary: "List a reciter's albums, the newest year first"}, s.listAlbums)
	register(s, huma.Operation{OperationID: "get-album", Method: http.MethodGet, Path: one, Tags: tags, Errors: readErrors,
		Summary: "Read an album"}, s.getAlbum)
	register(s, huma.Operation{OperationID: "create-album", Method: http.MethodPost, Path: all, Tags: tags, Errors: commandErrors,
		Summary: "Create an album", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxCommandBytes}, s.createAlbum)
	register(s, huma.Operation{OperationID: "modify-album", Method: http.MethodPatch, Path: one, Tags: tags, Errors: commandErrors,
		Summary: "Change an album's title or year", MaxBodyBytes: maxCommandBytes}, s.modifyAlbum)
	register(s, huma.Operation{OperationID: "delete-album", Method: http.MethodDelete, Path: one, Tags: tags, Errors: commandErrors,
		Summary: "Delete an album"}, s.deleteAlbum)
}

func (s *Server) listAlbums(ctx context.Context, in *listedAlbums) (*answer[Page[Album]], error) {
	position, page, err := s.catalogue.albums(ctx, referTo(in.Reciter), in.Paging)
	return &answer[Page[Album]]{position, page}, unknown(err, "there is no such reciter")
}

func (s *Server) getAlbum(ctx context.Context, in *oneAlbum) (*answer[Album], error) {
	position, album, err := s.album(ctx, in.AlbumPath)
	return &answer[Album]{position, album}, err
}

func (s *Server) createAlbum(ctx context.Context, in *newAlbum) (*receipt, error) {
	var f form
	attributes := library.AlbumAttributes{Title: f.line("title", in.Body.Title), Year: f.year("year", in.Body.Year)}
	if err := f.problem(); err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.AlbumCreated, reciter: entityIn(in.Reciter),
		attributes: library.Changes{"title": &attributes.Title, "year": &attributes.Year}}
	done, err := s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, reciter, err := s.reciter(ctx, in.Reciter)
		if err != nil {
			return decision{}, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return decision{}, err
		}
		event, err := library.NewAlbumCreated(id, reciter.ID, attributes)
		return appendEvent(id, position, event, err)
	})
	return &receipt{Position: done.Position, Location: "/v1/reciters/" + in.Reciter + "/albums/" + done.ID.String(), Body: done}, err
}

func (s *Server) modifyAlbum(ctx context.Context, in *changedAlbum) (*receipt, error) {
	var f form
	changes := library.Changes{}
	if in.Body.Title.sent {
		changes["title"] = f.requiredChange("title", in.Body.Title)
	}
	if in.Body.Year.sent {
		changes["year"] = f.changedYear("year", in.Body.Year)
	}
	if err := f.problem(); err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.AlbumModified, entity: entityIn(in.Album), attributes: changes}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, album, err := s.album(ctx, in.AlbumPath)
		if err != nil {
			return decision{}, err
		}
		changes := differing(changes, library.Changes{"title": &album.Title, "year": &album.Year})
		if len(changes) == 0 {
			return decision{entity: album.ID, position: position}, nil
		}
		return c.change(album.ID, position, changes, library.NewAlbumModified)
	}))
}

func (s *Server) deleteAlbum(ctx context.Context, in *deletedAlbum) (*receipt, error) {
	c := command{key: in.key(), event: library.AlbumDeleted, entity: entityIn(in.Album)}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, album, err := s.album(ctx, in.AlbumPath)
		if err != nil {
			return decision{}, err
		}
		event, err := library.NewAlbumDeleted(album.ID)
		return appendEvent(album.ID, position, event, err)
	}))
}

func (s *Server) album(ctx context.Context, path AlbumPath) (int64, Album, error) {
	position, album, err := s.catalogue.album(ctx, referTo(path.Reciter), referTo(path.Album))
	return position, album, unknown(err, "this reciter has no such album")
}
