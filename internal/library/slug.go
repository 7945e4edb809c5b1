package library

import (
	"strings"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

const (
	// slugLength bounds a slug, in characters; addresses and indexes want it short.
	slugLength = 100
	// slugSource bounds what of a name, in bytes, a slug is made from.
	slugSource = 1000
)

// withoutMarks are scripts whose letters are read without their accents and
// vowel signs. In others the signs are half of a word.
var withoutMarks = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew}

// slugBase turns a name into the words of an address, joined by single
// hyphens. Letters of every script stay. A name without any becomes the kind of
// thing it names.
func slugBase(kind, name string) string {
	if len(name) > slugSource {
		name = strings.ToValidUTF8(name[:slugSource], "")
	}
	var b strings.Builder
	length, gap, letter := 0, false, rune(0)
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if gap && length > 0 {
				b.WriteByte('-')
				length++
			}
			gap, letter = false, r
			b.WriteRune(unicode.ToLower(r))
			length++
		case unicode.IsMark(r):
			if length > 0 && !gap && !unicode.In(letter, withoutMarks...) {
				b.WriteRune(r)
				length++
			}
		default:
			gap = true
		}
		if length >= slugLength {
			break
		}
	}
	base := norm.NFC.String(b.String())
	if base == "" {
		return kind
	}
	if _, err := uuid.Parse(base); err == nil {
		// An address may hold an id or a slug; they must not look alike.
		return kind + "-" + base
	}
	return base
}

// slugCandidates are the slugs that an entity of this kind and name may get, in
// the order of preference. A double hyphen never occurs in a base, so the last
// candidate, which holds the whole id, cannot be anyone else's.
func slugCandidates(kind, name string, id uuid.UUID) [3]string {
	base, digits := slugBase(kind, name), strings.ReplaceAll(id.String(), "-", "")
	return [3]string{base, base + "--" + digits[:8], base + "--" + digits}
}
