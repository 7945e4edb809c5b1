package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheReadmeShowsWhatWasSeen wants the screen in the README to be one of those
// that `make recording` saw of a real release.
func TestTheReadmeShowsWhatWasSeen(t *testing.T) {
	recorded, err := os.ReadFile(filepath.Join(root, "docs", "recordings", "release.txt"))
	if err != nil {
		t.Fatal(err)
	}
	screens := 0
	for _, d := range documents(t) {
		if d.path != "README.md" {
			continue
		}
		for _, b := range d.blocks {
			if !strings.HasPrefix(b.text, "$ kubectl nawhas status\n") {
				continue
			}
			screens++
			if !strings.Contains(string(recorded), strings.TrimRight(b.text, "\n")) {
				t.Errorf("%s shows what docs/recordings/release.txt does not have", b.in(d))
			}
		}
	}
	if screens == 0 {
		t.Error("the README shows no screen")
	}
}
