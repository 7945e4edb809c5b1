package library

import (
	"strings"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// slugLength bounds a slug, in characters; addresses and indexes want it short.
const slugLength = 100

// slugBase turns a name into the words of an address, joined by single
// hyphens. Letters of every script stay, marks and signs go.
func slugBase(name string) string {
	var b strings.Builder
	length, gap := 0, false
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mc, r):
			if gap && length > 0 {
				b.WriteByte('-')
				length++
			}
			gap = false
			b.WriteRune(unicode.ToLower(r))
			length++
		case unicode.Is(unicode.Mn, r):
			// A vowel mark or an accent does not part a word.
		default:
			gap = true
		}
		if length >= slugLength {
			break
		}
	}
	base := norm.NFC.String(b.String())
	if base == "" {
		return "reciter"
	}
	if _, err := uuid.Parse(base); err == nil {
		// An address may hold an id or a slug; they must not look alike.
		return "reciter-" + base
	}
	return base
}

// slugCandidates are the slugs that a reciter of this name may get, in the
// order of preference. A double hyphen never occurs in a base, so the last
// candidate, which holds the whole id, cannot be anyone else's.
func slugCandidates(name string, id uuid.UUID) [3]string {
	base, digits := slugBase(name), strings.ReplaceAll(id.String(), "-", "")
	return [3]string{base, base + "--" + digits[:8], base + "--" + digits}
}
