package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	stdimage "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"gocloud.dev/blob/memblob"
)

func pngOf(t testing.TB, side int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, stdimage.NewGray(stdimage.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// wide claims a width in the PNG's header that no decoder should allocate.
func wide(data []byte) []byte {
	header := data[12:29] // chunk type and content
	binary.BigEndian.PutUint32(header[4:], maxImageSide+1)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(header))
	return data
}

func TestImagesAreKnownByTheirContent(t *testing.T) {
	picture := stdimage.NewPaletted(stdimage.Rect(0, 0, 2, 2), color.Palette{color.Black})
	var jpg, animation bytes.Buffer
	if err := jpeg.Encode(&jpg, picture, nil); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&animation, picture, nil); err != nil {
		t.Fatal(err)
	}
	webp := append([]byte("RIFF\x10\x00\x00\x00WEBPVP8 "), make([]byte, 16)...)
	for kind, data := range map[string][]byte{"image/png": pngOf(t, 2), "image/jpeg": jpg.Bytes(), "image/gif": animation.Bytes(), "image/webp": webp} {
		found, err := identify(data)
		if err != nil || found.mime != kind || !imageKey.MatchString(found.key) || mimeOf(found.key) != kind {
			t.Errorf("%s became %s, key %s, %v", kind, found.mime, found.key, err)
		}
	}
}

func TestImagesThatAreRefused(t *testing.T) {
	broken := pngOf(t, 2)[:20]
	for name, c := range map[string]struct {
		data   []byte
		status int
	}{
		"nothing":       {nil, http.StatusUnsupportedMediaType},
		"a page":        {[]byte("<html><script>alert(1)</script>"), http.StatusUnsupportedMediaType},
		"an SVG":        {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"></svg>`), http.StatusUnsupportedMediaType},
		"a torn header": {broken, http.StatusUnsupportedMediaType},
		"too large":     {append(pngOf(t, 2), make([]byte, maxImageBytes)...), http.StatusRequestEntityTooLarge},
		"too wide":      {wide(pngOf(t, 2)), http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identify(c.data)
			var status huma.StatusError
			if !errors.As(err, &status) || status.GetStatus() != c.status {
				t.Errorf("got %v, want status %d", err, c.status)
			}
		})
	}
}

func TestTheSameImageIsStoredOnce(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer func() { _ = bucket.Close() }()
	first, err := identify(pngOf(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := identify(pngOf(t, 3))
	other, _ := identify(pngOf(t, 4))
	if first.key != again.key || first.key == other.key {
		t.Fatalf("keys %s, %s, %s", first.key, again.key, other.key)
	}
	for range 2 {
		if err := first.store(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := bucket.ReadAll(t.Context(), first.key)
	if err != nil || !bytes.Equal(stored, first.data) {
		t.Errorf("read %d bytes back, %v", len(stored), err)
	}
}

func TestTheFirstFileOfAFormIsTheImage(t *testing.T) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("note", "not the image"); err != nil {
		t.Fatal(err)
	}
	file, err := form.CreateFormFile("file", "../../etc/avatar.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write([]byte("content"))
	_ = form.Close()

	data, err := imageBytes(form.FormDataContentType(), body.Bytes())
	if err != nil || string(data) != "content" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := imageBytes("multipart/form-data; boundary=x", []byte("nonsense")); err == nil {
		t.Error("a form that cannot be read was accepted")
	}
	if data, err := imageBytes("image/png", []byte("raw")); err != nil || string(data) != "raw" {
		t.Errorf("a body that is no form became %q, %v", data, err)
	}
}
