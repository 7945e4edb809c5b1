//go:build browser

package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// recordings are releases as the operator left them in tests of the controller.
const recordings = "../../internal/screen/testdata"

func recorded(t *testing.T, name string) screen.Summary {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(recordings, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(content, []byte("\n---\n"))
	release := &v1alpha1.NawhasRelease{}
	if err := yaml.Unmarshal(documents[0], release); err != nil {
		t.Fatal(err)
	}
	deployments := make([]appsv1.Deployment, len(documents)-1)
	for i, document := range documents[1:] {
		if err := yaml.Unmarshal(document, &deployments[i]); err != nil {
			t.Fatal(err)
		}
	}
	summary := screen.Of(release, deployments)
	recent(&summary)
	return summary
}

// recent moves all times so that the latest past one was 40 seconds ago.
func recent(s *screen.Summary) {
	var past []*time.Time
	var all []*time.Time
	for i := range s.Versions {
		v := &s.Versions[i]
		past = append(past, v.LiveSince)
		all = append(all, v.WarmUntil, v.ObservedUntil)
		for j := range v.Stages {
			past = append(past, v.Stages[j].FinishedAt)
		}
	}
	var latest time.Time
	for _, at := range past {
		if at != nil && at.After(latest) {
			latest = *at
		}
	}
	shift := time.Since(latest) - 40*time.Second
	moved := map[*time.Time]bool{}
	for _, at := range append(all, past...) {
		if at != nil && !moved[at] {
			moved[at] = true
			*at = at.Add(shift)
		}
	}
}

// names of all recordings.
func names(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %d recordings", err, len(files))
	}
	var all []string
	for _, file := range files {
		all = append(all, filepath.Base(file[:len(file)-len(".yaml")]))
	}
	return all
}
