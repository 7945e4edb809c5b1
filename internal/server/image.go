package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	stdimage "image"
	_ "image/gif"  // the formats that DecodeConfig knows
	_ "image/jpeg" // idem
	_ "image/png"  // idem
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"gocloud.dev/blob"
)

const (
	maxFormOverhead  = 16 << 10
	maxImageSide     = 20_000
	imageReadTimeout = 30 * time.Second
	retryStorage     = 2 * time.Second
)

var (
	imageExtensions = map[string]string{"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
	imageKey        = regexp.MustCompile(`^[0-9a-f]{64}\.(png|jpg|gif|webp)$`)
)

// image is an image whose key is made of its content: the same image has the
// same key, whichever version stored it, and a key's content never changes.
type image struct {
	key, mime string
	data      []byte
}

// imageBytes takes the image out of a body: the body itself or, in a form, its
// first file.
func imageBytes(contentType string, body []byte) ([]byte, error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return body, nil
	}
	form := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, huma.Error422UnprocessableEntity("the form has no file; add the image as a file")
		}
		if err != nil {
			return nil, huma.Error422UnprocessableEntity("the form cannot be read; its parts or its boundary are wrong")
		}
		if part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity("the form's file is not complete")
		}
		return data, nil
	}
}

// identify goes by the content, never by what the client says it is.
func identify(data []byte) (image, error) {
	if len(data) > maxImageBytes {
		return image{}, huma.NewError(http.StatusRequestEntityTooLarge, fmt.Sprintf("the image has more than %d MiB", maxImageBytes>>20))
	}
	kind := http.DetectContentType(data)
	extension, known := imageExtensions[kind]
	if !known {
		return image{}, huma.Error415UnsupportedMediaType("the content is not an image that is accepted; send PNG, JPEG, GIF or WebP")
	}
	// The standard library cannot read WebP; its sniffed signature must do.
	if kind != "image/webp" {
		size, _, err := stdimage.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			return image{}, huma.Error415UnsupportedMediaType("the image is damaged: its header cannot be read")
		}
		if size.Width > maxImageSide || size.Height > maxImageSide {
			return image{}, huma.Error422UnprocessableEntity(fmt.Sprintf("the image is wider or higher than %d pixels", maxImageSide))
		}
	}
	sum := sha256.Sum256(data)
	return image{key: hex.EncodeToString(sum[:]) + "." + extension, mime: kind, data: data}, nil
}

// store writes the image unless it is there. It happens before the event: an
// image without an event is harmless, an event without its image is not.
func (i image) store(ctx context.Context, bucket *blob.Bucket) error {
	there, err := bucket.Exists(ctx, i.key)
	if err == nil && there {
		return nil
	}
	if err == nil {
		err = bucket.WriteAll(ctx, i.key, i.data, &blob.WriterOptions{ContentType: i.mime})
	}
	if err != nil {
		return fmt.Errorf("store an image: %w", &storageError{err})
	}
	return nil
}

func mimeOf(key string) string {
	for kind, extension := range imageExtensions {
		if strings.HasSuffix(key, "."+extension) {
			return kind
		}
	}
	return "application/octet-stream"
}

// storageError is a failure of the storage of uploads.
type storageError struct{ cause error }

func (e *storageError) Error() string { return "the storage of uploads: " + e.cause.Error() }
func (e *storageError) Unwrap() error { return e.cause }
