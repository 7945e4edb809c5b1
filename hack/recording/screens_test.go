package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const recordings = "../../docs/recordings"

func TestAScreenIsTheLastOfItsStage(t *testing.T) {
	draw := func(stage string) string {
		return "\x1b[2A\rnawhas   live 3.1.2\x1b[K\r\n\x1b[33m●\x1b[0m " + stage + "\x1b[K\r\n" + clearBelow
	}
	printed := "$ kubectl nawhas status -w\r\r\n" + draw("migrating   Migrating") + draw("replaying  ░░  3 %") + draw("replaying  █░  24 %") +
		draw("replaying  ██  100 %") + draw("catching up   CatchingUp") + "nawhas   live 3.2.0\r\n" + clearBelow
	want := []string{
		"nawhas   live 3.1.2\n● migrating   Migrating", "nawhas   live 3.1.2\n● replaying  █░  24 %", "nawhas   live 3.1.2\n● replaying  ██  100 %",
		"nawhas   live 3.1.2\n● catching up   CatchingUp", "nawhas   live 3.2.0",
	}
	if got := screensOf(printed); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What the documents show is what was recorded.
func TestTheScreensAreThoseOfTheRecording(t *testing.T) {
	if os.Getenv("UPDATE") != "" {
		if err := writeScreens(recordings); err != nil {
			t.Fatal(err)
		}
	}
	cast, err := os.ReadFile(filepath.Join(recordings, castFile))
	if err != nil {
		t.Fatal(err)
	}
	printed, err := printedIn(cast)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(recordings, screensFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := textOf(screensOf(printed)); got != string(want) {
		t.Errorf("%s has not the screens of %s; UPDATE=1 writes it anew", screensFile, castFile)
	}
}
