package pgproxy

import (
	"regexp"
	"strings"
)

// longest is how much of a statement's text names it.
const longest = 100

var (
	remark  = regexp.MustCompile(`(?m)--.*$`)
	space   = regexp.MustCompile(`\s+`)
	literal = regexp.MustCompile(`'(?:[^']|'')*'`)
	// Names of versions' databases, roles and tombstones hold a version or a nonce.
	varying = regexp.MustCompile(`"[^"]*[0-9][^"]*"`)
	// A list of as many parameters or columns as there happen to be.
	numbered = regexp.MustCompile(`\$[0-9]+(, ?\$[0-9]+)*`)
)

// name is the text of a statement without what differs from run to run.
func name(statement string) string {
	text := strings.TrimSpace(space.ReplaceAllString(remark.ReplaceAllString(statement, ""), " "))
	text = literal.ReplaceAllString(text, "'…'")
	text = varying.ReplaceAllString(text, `"…"`)
	text = numbered.ReplaceAllString(text, "$…")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}

// kind is what a statement does to what outlives its session.
type kind int

const (
	reads kind = iota
	writes
	begins
	commits
	rollsBack
	copiesIn
)

var (
	writing = map[string]bool{"insert": true, "update": true, "delete": true, "merge": true, "create": true, "alter": true, "drop": true, "grant": true,
		"revoke": true, "reassign": true, "truncate": true, "comment": true, "reindex": true, "analyze": true, "vacuum": true, "do": true, "call": true, "notify": true}
	hiddenWrite = regexp.MustCompile(`(?i)\b(insert into|update|delete from)\b`)
	actingCall  = regexp.MustCompile(`(?i)\b(pg_terminate_backend|setval|pg_notify)\s*\(`)
)

func kindOf(statement string) kind {
	text := strings.ToLower(strings.TrimSpace(space.ReplaceAllString(remark.ReplaceAllString(statement, ""), " ")))
	first, _, _ := strings.Cut(text, " ")
	switch first = strings.TrimSuffix(first, ";"); {
	case first == "begin" || first == "start":
		return begins
	case first == "commit" || first == "end":
		return commits
	case first == "rollback" || first == "abort":
		return rollsBack
	case first == "copy" && strings.Contains(text, "from stdin"):
		return copiesIn
	case writing[first], first == "with" && hiddenWrite.MatchString(text), first == "select" && actingCall.MatchString(text):
		return writes
	}
	return reads
}
