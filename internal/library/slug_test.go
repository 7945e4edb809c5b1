package library

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
)

func TestSlugBase(t *testing.T) {
	for name, want := range map[string]string{
		"Nadeem Sarwar":                        "nadeem-sarwar",
		"  --José   O'Neil!! ":                 "jose-o-neil",
		"ندیم سرور":                            "ندیم-سرور",
		"مُحَمَّد":                             "محمد",
		"हुसैन":                                "हुसैन",
		"Ａｌｉ ②":                                "ali-2",
		"🎙️":                                   "reciter",
		"":                                     "reciter",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8": "reciter-6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	} {
		if got := slugBase("reciter", name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A base never holds what sets the suffix apart, so the candidate with the
// whole id cannot be the base of another name.
func FuzzSlugBase(f *testing.F) {
	for _, seed := range []string{"Ali", "a--b", "علي", "\xff", "İ", strings.Repeat("x ", 500), "ﷺ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base := slugBase("reciter", name)
		if base == "" || strings.Contains(base, "--") || strings.HasPrefix(base, "-") || strings.HasSuffix(base, "-") {
			t.Errorf("%q: %q", name, base)
		}
		if !utf8.ValidString(base) || strings.ContainsRune(base, 0) || len(base) > 4*slugLength+20 {
			t.Errorf("%q: %d bytes that no index should hold", name, len(base))
		}
		if candidates := slugCandidates("reciter", name, uuid.Nil); candidates[0] != base {
			t.Errorf("%q: prefers %q to %q", name, candidates[0], base)
		}
	})
}
