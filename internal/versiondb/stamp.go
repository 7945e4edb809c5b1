package versiondb

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const stampHeader = "nawhas-operator/v1"

// Stamp says whose a database or role is. It is kept as the object's comment.
type Stamp struct {
	// Installation is the ledger's random id.
	Installation uuid.UUID
	// Release is the NawhasRelease, namespace/name.
	Release string
	Version string
	// Build is the nonce of the build. A version that is built again gets another.
	Build uuid.UUID
}

// String is the comment that carries the stamp.
func (s Stamp) String() string {
	return fmt.Sprintf("%s installation=%s release=%s version=%s build=%s", stampHeader, s.Installation, s.Release, s.Version, s.Build)
}

// ParseStamp reads a comment. It reports false for comments that are no stamp.
func ParseStamp(comment string) (Stamp, bool) {
	fields := strings.Fields(comment)
	if len(fields) != 5 || fields[0] != stampHeader {
		return Stamp{}, false
	}
	values := map[string]string{}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		values[key] = value
	}
	installation, err := uuid.Parse(values["installation"])
	if err != nil {
		return Stamp{}, false
	}
	build, err := uuid.Parse(values["build"])
	if err != nil {
		return Stamp{}, false
	}
	return Stamp{Installation: installation, Release: values["release"], Version: values["version"], Build: build}, true
}

// SameOwner reports whether two stamps belong to the same version of the same
// release of the same installation, whatever the build.
func (s Stamp) SameOwner(other Stamp) bool {
	other.Build = s.Build
	return s == other
}
