package server

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

const (
	maxNameRunes        = 200
	maxDescriptionRunes = 10_000
)

var fourDigits = regexp.MustCompile(`^[0-9]{4}$`)

// form collects what is wrong with a command's attributes, so that one answer
// tells all of it.
type form struct{ errs []error }

func (f *form) refuse(field, format string, args ...any) {
	f.errs = append(f.errs, &huma.ErrorDetail{Location: "body." + field, Message: fmt.Sprintf(format, args...)})
}

func (f *form) problem() error {
	if len(f.errs) == 0 {
		return nil
	}
	return huma.Error422UnprocessableEntity("validation failed", f.errs...)
}

// line is a required text of one line, such as a name. Space around it is not
// part of it.
func (f *form) line(field, value string) string {
	value = strings.TrimSpace(value)
	if value == "" {
		f.refuse(field, "must not be empty")
		return value
	}
	f.text(field, value, maxNameRunes, false)
	return value
}

// prose is an optional text of many lines.
func (f *form) prose(field string, value *string) *string {
	if value == nil {
		return nil
	}
	text := strings.TrimSpace(*value)
	f.text(field, text, maxDescriptionRunes, true)
	return &text
}

func (f *form) year(field, value string) string {
	if !fourDigits.MatchString(value) {
		f.refuse(field, "must be a year of 4 digits, such as 1998")
	}
	return value
}

// text refuses what Postgres cannot store (NUL), what no reader can show
// (control characters) and what was damaged before it came here (replacement
// characters, which JSON decoding puts in the place of lone surrogates).
func (f *form) text(field, value string, limit int, lines bool) {
	if utf8.RuneCountInString(value) > limit {
		f.refuse(field, "must have at most %d characters", limit)
	}
	for _, r := range value {
		switch {
		case r == utf8.RuneError:
			f.refuse(field, "must be valid Unicode without replacement characters")
			return
		case lines && (r == '\n' || r == '\r' || r == '\t'):
		case unicode.IsControl(r):
			f.refuse(field, "must not have control characters such as U+%04X", r)
			return
		}
	}
}

// requiredChange is a change of a line that every entity must keep.
func (f *form) requiredChange(field string, c change) *string {
	if c.value == nil {
		f.refuse(field, "must not be null")
		return nil
	}
	value := f.line(field, *c.value)
	return &value
}

func (f *form) changedYear(field string, c change) *string {
	if c.value == nil {
		f.refuse(field, "must not be null")
		return nil
	}
	value := f.year(field, *c.value)
	return &value
}
