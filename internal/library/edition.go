package library

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Edition is what the code of a version knows: how its tables are made and
// what its projectors make of the events.
type Edition struct {
	// Version is the first version with this edition.
	Version string
	// Migrations is how many of the embedded migrations it has.
	Migrations int32
	// Model makes a fresh model of the edition.
	Model func() *projection.Model
	// Shelves says that albums have slugs and are counted.
	Shelves bool
}

// editions in ascending order. A later one adds its migrations to those of
// the earlier ones, because every version's database is built from nothing.
var editions = []Edition{
	{Version: "3.1.2", Migrations: 2, Model: newModel},
	{Version: "3.2.0", Migrations: 3, Model: newModelWithShelves, Shelves: true},
}

// UnknownEditionError says that no edition fits a version.
type UnknownEditionError struct {
	Version string
	Oldest  string
}

func (e *UnknownEditionError) Error() string {
	return fmt.Sprintf("this program has no edition for version %q; it knows %s and later ones (N.N.N or N.N.N-pre.release)", e.Version, e.Oldest)
}

// EditionOf finds the edition of a version: the newest one that is not newer
// than it. A pre-release has the edition of its release.
func EditionOf(version string) (Edition, error) {
	wanted, err := parseVersion(version)
	if err == nil {
		for _, e := range slices.Backward(editions) {
			if known, err := parseVersion(e.Version); err == nil && slices.Compare(known[:], wanted[:]) <= 0 {
				return e, nil
			}
		}
	}
	return Edition{}, &UnknownEditionError{Version: version, Oldest: editions[0].Version}
}

// Projectors are the names of the edition's projectors, in their order.
func (e Edition) Projectors() []string {
	var names []string
	for _, p := range e.Model().Projectors {
		names = append(names, p.Name())
	}
	return names
}

var versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9a-z]+(\.[0-9a-z]+)*)?$`)

// parseVersion reads the three numbers of a version.
func parseVersion(version string) ([3]int, error) {
	var numbers [3]int
	found := versionPattern.FindStringSubmatch(version)
	if found == nil {
		return numbers, fmt.Errorf("version %q is not N.N.N", version)
	}
	for i := range numbers {
		n, err := strconv.Atoi(found[i+1])
		if err != nil {
			return numbers, fmt.Errorf("version %q: %w", version, err)
		}
		numbers[i] = n
	}
	return numbers, nil
}

// schemaVersion is where the applied migrations are counted.
const schemaVersion = "public.schema_version"

// Migrate makes the edition's tables. It may be run again: migrations that
// were applied are left alone. Two at a time wait for each other.
func Migrate(ctx context.Context, conn *pgx.Conn, e Edition) error {
	migrator, err := migrate.NewMigrator(ctx, conn, schemaVersion)
	if err != nil {
		return fmt.Errorf("prepare the migrations of edition %s: %w", e.Version, err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("open the embedded migrations: %w", err)
	}
	if err := migrator.LoadMigrations(files); err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	applied, err := migrator.GetCurrentVersion(ctx)
	if err != nil {
		return fmt.Errorf("count the migrations of the database: %w", err)
	}
	if applied > e.Migrations {
		return &NewerDatabaseError{Edition: e.Version, Applied: applied, Known: e.Migrations}
	}
	if err := migrator.MigrateTo(ctx, e.Migrations); err != nil {
		return fmt.Errorf("migrate to edition %s: %w", e.Version, err)
	}
	return nil
}

// NewerDatabaseError says that a database was migrated by a newer edition.
type NewerDatabaseError struct {
	Edition        string
	Applied, Known int32
}

func (e *NewerDatabaseError) Error() string {
	return fmt.Sprintf("the database has %d migrations and edition %s knows %d: it belongs to a newer version; "+
		"give each version a database of its own", e.Applied, e.Edition, e.Known)
}
