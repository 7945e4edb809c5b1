package versiondb_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// versions draws valid versions, often ones that look alike.
var versions = rapid.Custom(func(t *rapid.T) string {
	number := rapid.StringMatching(`0|[1-9][0-9]?`)
	part := rapid.StringMatching(`0|[1-9][0-9]?|[0-9]?(rc|a|b|owner|app)[0-9]?`)
	version := strings.Join(rapid.SliceOfN(number, 3, 3).Draw(t, "numbers"), ".")
	if parts := rapid.SliceOfN(part, 0, 3).Draw(t, "pre-release"); len(parts) > 0 {
		version += "-" + strings.Join(parts, ".")
	}
	return version
})

func TestDifferentVersionsNeverShareAName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := versions.Draw(t, "one"), versions.Draw(t, "other")
		if one == other {
			t.Skip("the same version")
		}
		a, errA := versiondb.NamesOf("nawhas_v", one)
		b, errB := versiondb.NamesOf("nawhas_v", other)
		if errA != nil || errB != nil {
			t.Fatalf("valid versions are refused: %v, %v", errA, errB)
		}
		taken := map[string]string{a.Database: "database", a.Owner: "owner", a.App: "app"}
		if taken[b.Database] == "database" || taken[b.Owner] == "owner" || taken[b.App] == "app" ||
			taken[b.Owner] == "app" || taken[b.App] == "owner" {
			t.Fatalf("%s and %s share a name: %+v, %+v", one, other, a, b)
		}
		if len(a.Owner) > 63 || len(a.App) > 63 {
			t.Fatalf("%+v is longer than Postgres keeps", a)
		}
	})
}

func TestNames(t *testing.T) {
	for version, want := range map[string]versiondb.Names{
		"3.1.2":      {Database: "nawhas_v3_1_2", Owner: "nawhas_v3_1_2_owner", App: "nawhas_v3_1_2_app"},
		"3.2.0-rc.1": {Database: "nawhas_v3_2_0_rc_1", Owner: "nawhas_v3_2_0_rc_1_owner", App: "nawhas_v3_2_0_rc_1_app"},
	} {
		if got, err := versiondb.NamesOf("nawhas_v", version); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", version, got, err, want)
		}
	}
	for _, version := range []string{"", "3.1", "v3.1.2", "3.1.2.4", "03.1.2", "3.1.2-", "3.1.2-RC1", "3.1.2-rc..1", "3.1.2-rc_1", "3.1.2-01",
		"3.1.2+build", "3.1.2 ", "3.1.2\n", `3.1.2"; DROP`} {
		if names, err := versiondb.NamesOf("nawhas_v", version); err == nil {
			t.Errorf("version %q is accepted: %+v", version, names)
		}
	}
	for _, prefix := range []string{"", "Nawhas", "3v", "nawhas-v", "nawhas v", "nawhäs"} {
		if names, err := versiondb.NamesOf(prefix, "3.1.2"); err == nil {
			t.Errorf("prefix %q is accepted: %+v", prefix, names)
		}
	}
}

func TestNamesThatPostgresWouldCutAreRefused(t *testing.T) {
	const database = "3_1_2"
	longest := strings.Repeat("p", 63-len(database)-len("_owner"))
	names, err := versiondb.NamesOf(longest, "3.1.2")
	if err != nil || len(names.Owner) != 63 {
		t.Fatalf("got %+v, %v; want an owner of 63 bytes", names, err)
	}
	if _, err := versiondb.NamesOf(longest+"p", "3.1.2"); err == nil || !strings.Contains(err.Error(), "shorten") {
		t.Fatalf("got %v; want to be told to shorten", err)
	}
}

func TestStampsReadBackWhatTheyWrite(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		id := func(label string) uuid.UUID {
			return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
		}
		stamp := versiondb.Stamp{Installation: id("installation"), Build: id("build"), Version: versions.Draw(t, "version"),
			Release: name.Draw(t, "namespace") + "/" + name.Draw(t, "name")}
		if got, ok := versiondb.ParseStamp(stamp.String()); !ok || got != stamp {
			t.Fatalf("%q reads as %+v, %v", stamp, got, ok)
		}
	})
}

func TestOtherCommentsAreNoStamps(t *testing.T) {
	whole := newVersion(t).Stamp.String()
	for _, comment := range []string{"", "the old database", whole[1:], whole + " more=1", strings.Replace(whole, "installation=", "installation=x", 1),
		strings.Replace(whole, "build=", "nonce=", 1), strings.Replace(whole, "v1", "v2", 1)} {
		if stamp, ok := versiondb.ParseStamp(comment); ok {
			t.Errorf("%q reads as %+v", comment, stamp)
		}
	}
}

func TestSameOwnerLooksPastTheBuildOnly(t *testing.T) {
	stamp := newVersion(t).Stamp
	rebuilt, moved, newer, elsewhere := stamp, stamp, stamp, stamp
	rebuilt.Build, moved.Release, newer.Version, elsewhere.Installation = uuid.New(), "default/other", "3.1.3", uuid.New()
	if !stamp.SameOwner(rebuilt) {
		t.Error("another build counts as another owner")
	}
	for _, other := range []versiondb.Stamp{moved, newer, elsewhere} {
		if stamp.SameOwner(other) {
			t.Errorf("%s counts as the owner of what is stamped %s", other, stamp)
		}
	}
}
