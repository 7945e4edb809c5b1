package release

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// The status has room for so many versions; those that matter are among them.
func TestTheStatusTellsOfWhatMatters(t *testing.T) {
	s := &scope{release: &v1alpha1.NawhasRelease{}}
	for n := range 40 {
		s.versions = append(s.versions, warmFor(aVersion(fmt.Sprintf("1.%d.0", 40-n), ledger.Warm), time.Duration(n+1)*time.Hour))
	}
	oldest, live := s.versions[39], s.versions[38]
	live.Role, s.target = ledger.Live, oldest
	told := s.told()
	if len(told) != maxVersions || !slices.Contains(told, oldest) || !slices.Contains(told, live) || told[0] != s.versions[0] || slices.Contains(told, s.versions[37]) {
		t.Errorf("it tells of %d versions", len(told))
	}
	s.versions = s.versions[:3]
	if told := s.told(); len(told) != 3 {
		t.Errorf("it tells of %d versions of 3", len(told))
	}
}

// A version that a full status leaves out is an old one.
func TestHasBeenLive(t *testing.T) {
	s := &scope{release: &v1alpha1.NawhasRelease{}}
	s.release.Status.Versions = []v1alpha1.VersionStatus{{Version: "1.0.0", Role: v1alpha1.RoleCandidate}, {Version: "0.9.0", Role: v1alpha1.RoleWarm}}
	if s.hasBeenLive("1.0.0") || !s.hasBeenLive("0.9.0") || s.hasBeenLive("0.8.0") {
		t.Error("it goes by something else than the role")
	}
	for len(s.release.Status.Versions) < maxVersions {
		s.release.Status.Versions = append(s.release.Status.Versions, v1alpha1.VersionStatus{Role: v1alpha1.RoleWarm})
	}
	if s.hasBeenLive("1.0.0") || !s.hasBeenLive("0.8.0") {
		t.Error("a full status is taken for all there is")
	}
}
