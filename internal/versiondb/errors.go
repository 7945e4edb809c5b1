package versiondb

import (
	"fmt"
	"strings"
)

// ForeignError says that a database or role of the wanted name exists and is
// not ours. Nothing was changed.
type ForeignError struct {
	// Kind is "database" or "role".
	Kind, Name string
	// Comment is the object's comment, empty when it has none.
	Comment string
}

func (e *ForeignError) Error() string {
	whose := "it carries no stamp of this operator"
	if stamp, ok := ParseStamp(e.Comment); ok {
		whose = fmt.Sprintf("it belongs to release %s, version %s, build %s, of installation %s", stamp.Release, stamp.Version, stamp.Build, stamp.Installation)
	}
	return fmt.Sprintf("a %s %q exists and is not this release's: %s; it is left as it is. Rename or drop it, or choose another spec.databases.prefix or version",
		e.Kind, e.Name, whose)
}

// MissingRight is a right that an account lacks.
type MissingRight struct {
	// What the account cannot do.
	What string
	// Grant is the statement that gives it.
	Grant string
}

// RightsError names every right that an account lacks, with the statements
// that give them.
type RightsError struct {
	Account string
	Missing []MissingRight
}

func (e *RightsError) Error() string {
	var what, grants []string
	for _, missing := range e.Missing {
		what = append(what, missing.What)
		grants = append(grants, missing.Grant)
	}
	return fmt.Sprintf("the account %q may not %s; as an administrator of that server run: %s",
		e.Account, strings.Join(what, ", nor "), strings.Join(grants, " "))
}
