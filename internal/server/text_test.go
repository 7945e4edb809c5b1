package server

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextsThatAreRefused(t *testing.T) {
	for name, value := range map[string]string{
		"empty":                 "",
		"blank":                 " \t ",
		"NUL":                   "a\x00b",
		"control":               "a\x07b",
		"line break":            "a\nb",
		"not UTF-8":             "a\xff",
		"replacement character": "a\ufffdb",
		"too long":              strings.Repeat("é", maxNameRunes+1),
	} {
		t.Run(name, func(t *testing.T) {
			var f form
			f.line("name", value)
			if f.problem() == nil {
				t.Errorf("%q was accepted", value)
			}
		})
	}
}

func TestTextsThatAreAccepted(t *testing.T) {
	for _, value := range []string{"نديم سرور", "Ḥusayn 👨‍👩‍👧", strings.Repeat("é", maxNameRunes)} {
		var f form
		if got := f.line("name", "  "+value+" "); got != value || f.problem() != nil {
			t.Errorf("%q became %q, %v", value, got, f.problem())
		}
	}
}

func TestAcceptedTextCanBeStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f form
		value := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		text := f.prose("description", &value)
		if f.problem() != nil {
			return
		}
		if !utf8.ValidString(*text) || strings.ContainsFunc(*text, func(r rune) bool {
			return r == 0 || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r)
		}) {
			t.Fatalf("accepted %q", *text)
		}
	})
}

func TestYears(t *testing.T) {
	for value, good := range map[string]bool{"1998": true, "0001": true, "98": false, "19980": false, "١٩٩٨": false, "199a": false, "": false, "1998\n": false} {
		var f form
		f.year("year", value)
		if (f.problem() == nil) != good {
			t.Errorf("year %q: %v", value, f.problem())
		}
	}
}
