package server

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestAnAvatarIsStoredOnceAndServedForEver(t *testing.T) {
	w := newWorld(t)
	id := w.reciter("Nadeem", "nadeem")
	picture := string(pngOf(t, 5))
	r := w.expect(200, "PUT", "/v1/reciters/nadeem/avatar", picture, "Content-Type", "image/png")
	event := w.events()[0]
	key := event.Payload["path"].(string)
	if event.Name != "ReciterAvatarUploaded" || event.Payload["id"] != id.String() || r.body["id"] != id.String() || !imageKey.MatchString(key) {
		t.Fatalf("recorded %v, answered %s", event, r.raw)
	}
	got := w.expect(200, "GET", "/v1/uploads/"+key, "")
	if string(got.raw) != picture || got.header.Get("Content-Type") != "image/png" || !strings.Contains(got.header.Get("Cache-Control"), "immutable") ||
		got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("read %d bytes with %v", len(got.raw), got.header)
	}
	w.expect(304, "GET", "/v1/uploads/"+key, "", "If-None-Match", got.header.Get("ETag"))
	if part := w.expect(206, "GET", "/v1/uploads/"+key, "", "Range", "bytes=1-3"); string(part.raw) != "PNG" {
		t.Errorf("a range is %q", part.raw)
	}

	postgres.Exec(t, nameOf(w.database), "UPDATE reciters SET avatar = '"+key+"'")
	w.reach(1)
	if again := w.expect(200, "PUT", "/v1/reciters/nadeem/avatar", picture, "Content-Type", "image/png"); again.body["changed"] != false {
		t.Errorf("the same avatar again: %s", again.raw)
	}
	if events := w.events(); len(events) != 1 {
		t.Errorf("the log has %d events", len(events))
	}
}

func TestArtworkComesInAForm(t *testing.T) {
	w := newWorld(t)
	album := w.album(w.reciter("Nadeem", "nadeem"), "Old", "1998")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "artwork.png")
	must(t, err)
	_, _ = file.Write(pngOf(t, 6))
	must(t, form.Close())
	w.expect(200, "PUT", "/v1/reciters/nadeem/albums/"+album.String()+"/artwork", body.String(), "Content-Type", form.FormDataContentType())
	if event := w.events()[0]; event.Name != "AlbumArtworkUploaded" || event.Payload["id"] != album.String() {
		t.Errorf("recorded %v", event)
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	const avatar = "/v1/reciters/nadeem/avatar"
	w.expect(415, "PUT", avatar, "<html>", "Content-Type", "image/png")
	w.expect(400, "PUT", avatar, "", "Content-Type", "image/png")
	w.expect(413, "PUT", avatar, string(pngOf(t, 2))+strings.Repeat("x", maxImageBytes+maxFormOverhead), "Content-Type", "image/png")
	w.expect(404, "PUT", "/v1/reciters/"+uuid.NewString()+"/avatar", string(pngOf(t, 2)), "Content-Type", "image/png")
	for _, key := range []string{"x", "..%2f..%2fetc%2fpasswd", strings.Repeat("0", 64) + ".png", strings.Repeat("0", 64) + ".svg"} {
		w.expect(404, "GET", "/v1/uploads/"+key, "")
	}
	if events := w.events(); len(events) != 0 {
		t.Errorf("the log has %v", events)
	}
}

func TestWithoutStorageUploadsAreRefused(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Uploads = nil })
	w.reciter("Nadeem", "nadeem")
	w.expect(501, "PUT", "/v1/reciters/nadeem/avatar", string(pngOf(t, 2)), "Content-Type", "image/png")
	w.expect(404, "GET", "/v1/uploads/"+strings.Repeat("0", 64)+".png", "")
}

func TestAnUploadIsRepeatedWithItsKey(t *testing.T) {
	w := newWorld(t)
	w.reciter("Nadeem", "nadeem")
	key := uuid.NewString()
	picture, other := string(pngOf(t, 2)), string(pngOf(t, 3))
	first := w.expect(200, "PUT", "/v1/reciters/nadeem/avatar", picture, "Content-Type", "image/png", "Idempotency-Key", key)
	again := w.expect(200, "PUT", "/v1/reciters/nadeem/avatar", picture, "Content-Type", "image/png", "Idempotency-Key", key)
	if string(first.raw) != string(again.raw) {
		t.Errorf("first %s, again %s", first.raw, again.raw)
	}
	w.expect(422, "PUT", "/v1/reciters/nadeem/avatar", other, "Content-Type", "image/png", "Idempotency-Key", key)
}

func TestStorageOfUploads(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made", "here")
	bucket, err := OpenUploads(t.Context(), "file://"+folder+"?create_dir=1")
	must(t, err)
	defer func() { _ = bucket.Close() }()
	img, err := identify(pngOf(t, 2))
	must(t, err)
	must(t, img.store(t.Context(), bucket))
	// Another version's server finds what this one stored.
	other, err := OpenUploads(t.Context(), "file://"+folder)
	must(t, err)
	defer func() { _ = other.Close() }()
	if there, err := other.Exists(t.Context(), img.key); err != nil || !there {
		t.Errorf("the other server does not find the image: %v", err)
	}
	if files, _ := filepath.Glob(folder + "/*"); len(files) != 1 {
		t.Errorf("the folder has %v", files)
	}
	if none, err := OpenUploads(t.Context(), ""); none != nil || err != nil {
		t.Errorf("an empty URL opened %v, %v", none, err)
	}
	for _, url := range []string{"gopher://x", "file:///does/not/exist", "file:///tmp?odd=1"} {
		if _, err := OpenUploads(t.Context(), url); err == nil {
			t.Errorf("%s was opened", url)
		}
	}
}

// What a request may take does not begin before all of it is there.
func TestAnUploadMayComeSlowly(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.RequestTimeout = 500 * time.Millisecond })
	w.reciter("Nadeem", "nadeem")
	picture := pngOf(t, 5)
	body, writer := io.Pipe()
	go func() {
		_, _ = writer.Write(picture[:8])
		time.Sleep(time.Second)
		_, _ = writer.Write(picture[8:])
		_ = writer.Close()
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/v1/reciters/nadeem/avatar", body)
	must(t, err)
	request.Header.Set("Content-Type", "image/png")
	response, err := http.DefaultTransport.RoundTrip(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("answered %d", response.StatusCode)
	}
}
