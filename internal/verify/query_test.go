package verify

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func (b *built) asked(queries ...Query) (Evidence, error) {
	b.t.Helper()
	database, source := b.connect(b.database), b.connect(b.source)
	defer closing(database)
	defer closing(source)
	return Run(b.t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log, Plan: Plan{Queries: queries}})
}

func TestQueriesOfOnesOwn(t *testing.T) {
	b := build(t, 200)
	b.damage("CREATE FUNCTION write() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM albums; RETURN 1; END $$",
		"CREATE FUNCTION write_anyhow() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET LOCAL transaction_read_only = off; DELETE FROM albums; RETURN 1; END $$")
	for name, c := range map[string]struct {
		query, expect string
		wrong         string // empty if the check passes
	}{
		"a count":               {"SELECT count(*) FROM albums WHERE title IS NULL", "0", ""},
		"a boolean":             {"SELECT count(*) > 3 FROM reciters;", "true", ""},
		"a text":                {"SELECT 'a' || 'b'", "ab", ""},
		"the verified snapshot": {"SELECT position FROM checkpoint", "200", ""},
		"a comment":             {"SELECT 1 -- one", "1", ""},
		"another number":        {"SELECT 41 + 1", "41", `returned 42 instead of "41"`},
		"another text":          {"SELECT 'Verysecret'", "x", "a text of 10 bytes"},
		"null":                  {"SELECT NULL::text", "", "null"},
		"wrong SQL":             {"SELEKT 1", "1", "its SQL is wrong"},
		"a table not there":     {"SELECT count(*) FROM songs", "0", "its SQL is wrong"},
		"a wrong value":         {"SELECT 'Verysecret'::int", "0", "the server refused it (22P02)"},
		"two rows":              {"SELECT generate_series(1, 2)", "1", "must return one row, and returned more"},
		"rows without end":      {"SELECT generate_series(1, 1000000000000)", "1", "must return one row, and returned more"},
		"no row":                {"SELECT 1 WHERE false", "1", "must return one row, and returned none"},
		"two columns":           {"SELECT 1, 2", "1", "must return one column, and returned 2"},
		"no column":             {"SELECT", "1", "must return one column, and returned 0"},
		"it never ends":         {"SELECT count(*) FROM (SELECT generate_series(1, 1000000000000)) s", "0", "did not end within 1s"},
		"it sleeps":             {"SELECT pg_sleep(3600)", "", "did not end within 1s"},
		"it writes":             {"DELETE FROM albums RETURNING 1", "1", "it writes"},
		"a function writes":     {"SELECT write()", "1", "it writes"},
		"it insists":            {"SELECT write_anyhow()", "1", "the server refused it"},
		"it ends what it is in": {"COMMIT", "1", "returned none"},
		"two statements":        {"COMMIT; DELETE FROM albums", "1", "its SQL is wrong"},
		"it makes a table":      {"CREATE TABLE x ()", "1", "it writes"},
		"it copies":             {"COPY albums TO STDOUT", "1", "returned none"},
	} {
		t.Run(name, func(t *testing.T) {
			var timeout Duration // long enough for whatever ends
			if strings.Contains(c.wrong, "did not end") {
				timeout = Duration(time.Second)
			}
			evidence, err := b.asked(Query{Name: "mine", Query: c.query, Expect: c.expect, Timeout: timeout}, Query{Name: "after", Query: "SELECT 1", Expect: "1"})
			check := evidence.check("query:mine")
			if after := evidence.check("query:after"); !after.Passed {
				t.Errorf("the query after it: %+v", after)
			}
			if c.wrong == "" {
				if err != nil || !check.Passed {
					t.Errorf("%v: %+v", err, check)
				}
				return
			}
			var failed *FailedError
			if !errors.As(err, &failed) || check.Passed || !strings.Contains(check.Detail, c.wrong) || !strings.Contains(err.Error(), "query:mine") {
				t.Errorf("%v: %+v", err, check)
			}
			if strings.Contains(err.Error(), "Verysecret") {
				t.Errorf("it repeats a value: %v", err)
			}
		})
	}
	if _, err := b.verify(); err != nil {
		t.Errorf("the queries changed something: %v", err)
	}
}
