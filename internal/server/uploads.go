package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"gocloud.dev/gcerrors"

	"github.com/nawhas/nawhas-operator/internal/library"
)

// Upload is embedded in the input of the commands that bring an image.
type Upload struct {
	Writing
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte
}

type avatarUpload struct {
	Upload
	ReciterPath
}

type artworkUpload struct {
	Upload
	AlbumPath
}

type oneUpload struct {
	Key string `path:"key" maxLength:"100" doc:"The key that an avatar or artwork attribute holds."`
}

type uploadedFile struct {
	Body func(huma.Context)
}

func (s *Server) registerUploads() {
	const avatar, artwork = "/v1/reciters/{reciter}/avatar", "/v1/reciters/{reciter}/albums/{album}/artwork"
	register(s, uploadOperation("upload-avatar", avatar, "Reciters", "Give a reciter a new avatar"), s.uploadAvatar)
	register(s, uploadOperation("upload-artwork", artwork, "Albums", "Give an album new artwork"), s.uploadArtwork)
	for _, path := range []string{avatar, artwork} {
		s.api.OpenAPI().Paths[path].Put.RequestBody.Content = imageContent()
	}
	huma.Register(s.api, huma.Operation{OperationID: "get-upload", Method: http.MethodGet, Path: "/v1/uploads/{key}", Tags: []string{"Uploads"},
		Errors: readErrors, Summary: "Read an uploaded image", Description: "What a key names never changes, so it may be cached for ever."}, s.getUpload)
}

func uploadOperation(id, path, tag, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodPut, Path: path, Tags: []string{tag}, Summary: summary,
		Description:  "Send the image itself, or a form whose first file is the image. PNG, JPEG, GIF and WebP are accepted, by their content.",
		Errors:       append([]int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusNotImplemented}, commandErrors...),
		MaxBodyBytes: maxImageBytes + maxFormOverhead, BodyReadTimeout: imageReadTimeout}
}

func imageContent() map[string]*huma.MediaType {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	content := map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{"file": binary}}}}
	for mime := range imageExtensions {
		content[mime] = &huma.MediaType{Schema: binary}
	}
	return content
}

func (s *Server) uploadAvatar(ctx context.Context, in *avatarUpload) (*receipt, error) {
	img, err := s.imageOf(in.Upload)
	if err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.ReciterAvatarUploaded, entity: entityIn(in.Reciter), path: img.key}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, reciter, err := s.reciter(ctx, in.Reciter)
		if err != nil {
			return decision{}, err
		}
		if reciter.Avatar != nil && *reciter.Avatar == img.key {
			return decision{entity: reciter.ID, position: position}, nil
		}
		if err := img.store(ctx, s.options.Uploads); err != nil {
			return decision{}, err
		}
		event, err := library.NewReciterAvatarUploaded(reciter.ID, img.key)
		return appendEvent(reciter.ID, position, event, err)
	}))
}

func (s *Server) uploadArtwork(ctx context.Context, in *artworkUpload) (*receipt, error) {
	img, err := s.imageOf(in.Upload)
	if err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.AlbumArtworkUploaded, entity: entityIn(in.Album), path: img.key}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, album, err := s.album(ctx, in.AlbumPath)
		if err != nil {
			return decision{}, err
		}
		if album.Artwork != nil && *album.Artwork == img.key {
			return decision{entity: album.ID, position: position}, nil
		}
		if err := img.store(ctx, s.options.Uploads); err != nil {
			return decision{}, err
		}
		event, err := library.NewAlbumArtworkUploaded(album.ID, img.key)
		return appendEvent(album.ID, position, event, err)
	}))
}

func (s *Server) imageOf(in Upload) (image, error) {
	if s.options.Uploads == nil {
		return image{}, huma.Error501NotImplemented("this server has no storage for uploads; its operator sets one with --uploads-url or NAWHAS_UPLOADS_URL")
	}
	data, err := imageBytes(in.ContentType, in.RawBody)
	if err != nil {
		return image{}, err
	}
	return identify(data)
}

// getUpload streams a stored image. Images come from users: nosniff and the
// sandbox keep a browser from taking one for a page.
func (s *Server) getUpload(ctx context.Context, in *oneUpload) (*uploadedFile, error) {
	if s.options.Uploads == nil || !imageKey.MatchString(in.Key) {
		return nil, huma.Error404NotFound("there is no such upload")
	}
	reader, err := s.options.Uploads.NewReader(ctx, in.Key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, huma.Error404NotFound("there is no such upload")
	}
	if err != nil {
		return nil, s.problem(ctx, "get-upload", &storageError{err})
	}
	return &uploadedFile{Body: func(ctx huma.Context) {
		defer func() { _ = reader.Close() }()
		r, w := humago.Unwrap(ctx)
		header := w.Header()
		header.Set("Content-Type", mimeOf(in.Key))
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		header.Set("ETag", `"`+strings.SplitN(in.Key, ".", 2)[0]+`"`)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		http.ServeContent(w, r, "", reader.ModTime(), reader)
	}}, nil
}
