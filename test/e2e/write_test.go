//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// A client writes, carries the position of its write, and reads it back,
// whichever of the two pods answers.
func TestAClientReadsWhatItWrote(t *testing.T) {
	if !shared.Local() {
		t.Skip("this machine does not reach the Services of this cluster")
	}
	t.Parallel()
	w := newWorld(t, 1_000)
	w.create(unchanged)
	w.untilLive()
	address, err := shared.Address(t.Context(), w.Namespace, "nawhas-api")
	if err != nil {
		t.Fatal(err)
	}
	var created, read cluster.Reciter
	position := w.send(http.MethodPost, address+"/v1/reciters", "", strings.NewReader(`{"name": "Farhan Ali Waris"}`), &created)
	w.send(http.MethodGet, address+"/v1/reciters/"+created.ID, position, http.NoBody, &read)
	if read.Name != "Farhan Ali Waris" {
		t.Errorf("read %+v", read)
	}

	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	position = w.send(http.MethodPut, address+"/v1/reciters/"+created.ID+"/avatar", position, &picture, nil)
	var withAvatar struct{ Avatar string }
	w.send(http.MethodGet, address+"/v1/reciters/"+created.ID, position, http.NoBody, &withAvatar)
	if withAvatar.Avatar == "" {
		t.Fatal("the reciter has no avatar")
	}
	w.send(http.MethodGet, address+"/v1/uploads/"+withAvatar.Avatar, "", http.NoBody, nil)
	w.audit(w.Prefix+"3_1_2", 1_002)
}

// send makes a request and returns the position that the answer carries.
func (w *world) send(method, url, position string, body io.Reader, into any) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if position != "" {
		request.Header.Set("Nawhas-Position", position)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		w.t.Fatalf("%s %s: %s\n%s", method, url, response.Status, content)
	}
	if version := response.Header.Get("Nawhas-Version"); version != "3.1.2" {
		w.t.Errorf("%s %s was answered by version %q", method, url, version)
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			w.t.Fatalf("%s %s: %v", method, url, err)
		}
	}
	return response.Header.Get("Nawhas-Position")
}
