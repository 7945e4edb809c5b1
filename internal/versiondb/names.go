package versiondb

import (
	"fmt"
	"regexp"
	"strings"
)

// maxIdentifier is the longest name that Postgres keeps whole, in bytes.
const maxIdentifier = 63

var (
	versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-` + preRelease + `(\.` + preRelease + `)*)?$`)
	prefixPattern  = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	separators     = strings.NewReplacer(".", "_", "-", "_")
)

const preRelease = `(0|[1-9][0-9]*|[0-9]*[a-z][0-9a-z]*)`

// Names are what a version's database and roles are called.
type Names struct {
	Database string
	// Owner is the owner-side role: it migrates, replays and follows.
	Owner string
	// App is the role of the version's pods.
	App string
}

// NamesOf derives the names of a version: nawhas_v and 3.2.0-rc.1 make
// nawhas_v3_2_0_rc_1. Versions are N.N.N with an optional pre-release of
// [0-9a-z] parts joined by dots, so that two versions never share a name.
func NamesOf(prefix, version string) (Names, error) {
	if !prefixPattern.MatchString(prefix) {
		return Names{}, fmt.Errorf("the prefix %q must begin with a lower-case letter or _ and hold only those and digits", prefix)
	}
	if !versionPattern.MatchString(version) {
		return Names{}, fmt.Errorf("the version %q must be N.N.N, optionally with a pre-release such as -rc.1", version)
	}
	database := prefix + separators.Replace(version)
	names := Names{Database: database, Owner: database + "_owner", App: database + "_app"}
	if len(names.Owner) > maxIdentifier {
		return Names{}, fmt.Errorf("the name %q is longer than the %d bytes that Postgres keeps; shorten the prefix or the version", names.Owner, maxIdentifier)
	}
	return names, nil
}
