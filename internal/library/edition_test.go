package library_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/library"
)

func TestEditionOf(t *testing.T) {
	for version, want := range map[string]string{"3.1.2": "3.1.2", "3.1.3": "3.1.2", "3.1.2-rc.1": "3.1.2", "4.0.0-beta": "3.2.0", "10.0.0": "3.2.0", "3.2.0": "3.2.0", "3.1.99": "3.1.2"} {
		if e, err := library.EditionOf(version); err != nil || e.Version != want {
			t.Errorf("%s: edition %s, %v; want %s", version, e.Version, err, want)
		}
	}
	for _, version := range []string{"", "3.1.1", "3.1", "v3.1.2", "3.1.2+build", "3.01.2", "dev", "3.1.2-RC", "3.1.99999999999999999999"} {
		if _, err := library.EditionOf(version); !errors.As(err, new(*library.UnknownEditionError)) {
			t.Errorf("%q: %v", version, err)
		}
	}
	if names := edition(t).Projectors(); !slices.Equal(names, []string{"reciters", "albums", "revisions"}) {
		t.Errorf("projectors %v", names)
	}
}

func TestMigrateMayBeRepeated(t *testing.T) {
	conn := connect(t, server.Database(t))
	for range 2 {
		if err := library.Migrate(t.Context(), conn, edition(t)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "UPDATE schema_version SET version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := library.Migrate(t.Context(), conn, edition(t)); !errors.As(err, new(*library.NewerDatabaseError)) {
		t.Errorf("a database of a newer edition: %v", err)
	}
}
