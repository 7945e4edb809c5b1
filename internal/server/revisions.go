package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

type reciterRevisions struct {
	Reading
	ReciterPath
	Paging
}

type albumRevisions struct {
	Reading
	AlbumPath
	Paging
}

func (s *Server) registerRevisions() {
	tags := []string{"Revisions"}
	register(s, huma.Operation{OperationID: "list-reciter-revisions", Method: http.MethodGet, Path: "/v1/reciters/{reciter}/revisions", Tags: tags,
		Errors: readErrors, Summary: "List what a reciter was, the newest first",
		Description: "A deleted reciter keeps its revisions; they are found by its id."}, s.listReciterRevisions)
	register(s, huma.Operation{OperationID: "list-album-revisions", Method: http.MethodGet, Path: "/v1/reciters/{reciter}/albums/{album}/revisions", Tags: tags,
		Errors: readErrors, Summary: "List what an album was, the newest first",
		Description: "A deleted album keeps its revisions."}, s.listAlbumRevisions)
}

func (s *Server) listReciterRevisions(ctx context.Context, in *reciterRevisions) (*answer[Page[Revision]], error) {
	id := entityIn(in.Reciter)
	if id == uuid.Nil {
		_, reciter, err := s.reciter(ctx, in.Reciter)
		if err != nil {
			return nil, err
		}
		id = reciter.ID
	}
	position, page, err := s.catalogue.revisions(ctx, "reciter:"+id.String(), in.Paging)
	return &answer[Page[Revision]]{position, page}, unknown(err, "there never was such a reciter")
}

// listAlbumRevisions goes by the album's id alone when it has one: a deleted
// album, or one of a deleted reciter, has no other trace in the tables.
func (s *Server) listAlbumRevisions(ctx context.Context, in *albumRevisions) (*answer[Page[Revision]], error) {
	id := entityIn(in.Album)
	if id == uuid.Nil {
		_, album, err := s.album(ctx, in.AlbumPath)
		if err != nil {
			return nil, err
		}
		id = album.ID
	}
	position, page, err := s.catalogue.revisions(ctx, "album:"+id.String(), in.Paging)
	return &answer[Page[Revision]]{position, page}, unknown(err, "there never was such an album")
}
