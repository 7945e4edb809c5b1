package screen_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recorded is a release as the operator left it in a test of the controller,
// with what counts of its Deployments.
func recorded(t *testing.T, file string) (*v1alpha1.NawhasRelease, []appsv1.Deployment) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(content, []byte("\n---\n"))
	release := &v1alpha1.NawhasRelease{}
	if err := yaml.UnmarshalStrict(documents[0], release); err != nil {
		t.Fatal(err)
	}
	deployments := make([]appsv1.Deployment, len(documents)-1)
	for i, document := range documents[1:] {
		if err := yaml.UnmarshalStrict(document, &deployments[i]); err != nil {
			t.Fatal(err)
		}
	}
	return release, deployments
}

// lookedAt is some time after the latest change, so that all times are positive.
func lookedAt(release *v1alpha1.NawhasRelease) time.Time {
	latest := release.CreationTimestamp.Time
	for _, v := range release.Status.Versions {
		if v.LiveSince != nil && v.LiveSince.After(latest) {
			latest = v.LiveSince.Time
		}
	}
	return latest.Add(42 * time.Second)
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			release, deployments := recorded(t, file)
			summary, now := screen.Of(release, deployments), lookedAt(release)
			var text strings.Builder
			for _, width := range []int{80, 120} {
				text.WriteString(strings.Join(screen.Tree(summary, now, width), "\n") + "\n\n")
			}
			text.WriteString(screen.Line(summary) + "\n\n")
			text.WriteString(strings.Join(screen.History(summary, now, 0), "\n") + "\n\n")
			text.WriteString(strings.Join(screen.History(summary, now, 80), "\n") + "\n")
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", text.String())
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (write it anew with -update, and look at it):\n%s\nbut it is\n%s", file, want, got)
	}
}

func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	for _, name := range []string{"first", "settled", "replaying", "failed", "waiting", "switched"} {
		release, deployments := recorded(t, "testdata/"+name+".yaml")
		for width := 40; width < 140; width++ {
			for _, line := range screen.Tree(screen.Of(release, deployments), lookedAt(release), width) {
				if length := utf8.RuneCountInString(line); length > width {
					t.Fatalf("%s at %d: a line of %d: %s", name, width, length, line)
				}
			}
		}
	}
}

func TestWhatAStageFoundIsToldToItsEnd(t *testing.T) {
	found := "23 checks on 1000000 events up to position 1000000, 0 differences from version 3.1.2"
	summary := screen.Summary{Name: "nawhas", Wanted: "3.2.0", Seen: true, Versions: []screen.Version{{Version: "3.2.0", Role: "Candidate", Stages: []screen.Stage{
		{Name: v1alpha1.ConditionVerified, State: screen.Done, Message: found, Seconds: 8.1},
		{Name: v1alpha1.ConditionCaughtUp, State: screen.Waiting},
	}}}}
	want := []string{
		"   ├─ ✔ verified     8.1 s      23 checks on 1000000 events up to position",
		"   │                            1000000, 0 differences from version 3.1.2",
		"   └─ · caught up",
	}
	if got := screen.Tree(summary, time.Now(), 80); len(got) < 5 || !slices.Equal(got[2:5], want) {
		t.Errorf("it is\n%s", strings.Join(got, "\n"))
	}
}

func TestFoldedLinesHangBelowTheirText(t *testing.T) {
	lines := []string{"Releasing version 3.3.0:", "  8. take the right to append from version 3.2.0 when it has drained", strings.Repeat("x", 50)}
	want := []string{
		"Releasing version 3.3.0:",
		"  8. take the right to append from version 3.2.0",
		"     when it has drained",
		strings.Repeat("x", 50),
	}
	if got := screen.Fold(lines, 50); !slices.Equal(got, want) {
		t.Errorf("it is\n%s", strings.Join(got, "\n"))
	}
}

func TestARateAndATimeLeftStayLongest(t *testing.T) {
	release, deployments := recorded(t, "testdata/replaying.yaml")
	for width, want := range map[int][]string{
		110: {"61 %", "6.1M / 10.0M", "58,200 events/s", "left"},
		80:  {"61 %", "58,200 events/s", "left"},
		60:  {"61 %", "left"},
		40:  {"61 %"},
	} {
		text := strings.Join(screen.Tree(screen.Of(release, deployments), lookedAt(release), width), "\n")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("at %d characters %q is missing:\n%s", width, part, text)
			}
		}
	}
}

func TestAReplayThatHasAppliedAllBuildsIndexes(t *testing.T) {
	release, deployments := recorded(t, "testdata/replaying.yaml")
	progress := release.Status.Versions[0].Progress
	progress.Position, progress.Percent = progress.Target, 100
	text := strings.Join(screen.Tree(screen.Of(release, deployments), lookedAt(release), 80), "\n")
	if !strings.Contains(text, "100 %") || !strings.Contains(text, "building indexes") || strings.Contains(text, "events/s") {
		t.Errorf("it says\n%s", text)
	}
}

// A status without conditions, versions or anything is what an operator leaves
// that does not run.
func TestAReleaseThatNobodyLookedAfter(t *testing.T) {
	release := &v1alpha1.NawhasRelease{}
	release.Name, release.Generation, release.Spec.Version = "nawhas", 1, "3.1.2"
	summary := screen.Of(release, nil)
	text := strings.Join(screen.Tree(summary, time.Time{}, 80), "\n")
	for _, want := range []string{"live nothing", "has not seen this spec", "3.1.2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if summary.Ready || summary.Stalled || !strings.Contains(screen.Line(summary), "has not seen") {
		t.Errorf("%+v: %s", summary, screen.Line(summary))
	}
}

// What was true of an earlier spec says nothing about the present one.
func TestAnEarlierSpecCountsForNothing(t *testing.T) {
	release, deployments := recorded(t, "testdata/settled.yaml")
	release.Spec.Version = "3.2.0"
	release.Generation = release.Status.ObservedGeneration + 1
	summary := screen.Of(release, deployments)
	if summary.Ready || summary.Seen || summary.Versions[0].Version != "3.2.0" {
		t.Errorf("%+v", summary)
	}
	for _, stage := range summary.Versions[0].Stages {
		if stage.State != screen.Waiting {
			t.Errorf("stage %s of the new version is %s", stage.Name, stage.State)
		}
	}
}

func TestPaintAddsNoText(t *testing.T) {
	lines := []string{"├─ ✔ database  ██░░"}
	painted := screen.Paint(lines)[0]
	if painted == lines[0] || !strings.Contains(painted, "\x1b[32m✔") {
		t.Errorf("%q", painted)
	}
}
