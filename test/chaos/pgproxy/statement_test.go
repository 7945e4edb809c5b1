package pgproxy

import "testing"

func TestStatementsAreNamedWithoutWhatDiffers(t *testing.T) {
	for given, want := range map[string]string{
		"CREATE ROLE \"nawhas_v3_1_2_app\" LOGIN\n\tPASSWORD 'SCRAM-SHA-256$x'":    `CREATE ROLE "…" LOGIN PASSWORD '…'`,
		"UPDATE checkpoint SET position = $1, tail = $2 WHERE epoch = $3":          "UPDATE checkpoint SET position = $…, tail = $… WHERE epoch = $…",
		"INSERT INTO albums VALUES ($1, $2, $3)":                                   "INSERT INTO albums VALUES ($…)",
		`GRANT INSERT (id, name) ON "events" TO "w_3_2_0"`:                         `GRANT INSERT (id, name) ON "events" TO "…"`,
		"DROP DATABASE \"nawhas_v3_1_2\" WITH (FORCE)":                             `DROP DATABASE "…" WITH (FORCE)`,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE a = 'it''s'": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE a = '…'",
		"-- The reciter's\nCREATE TABLE a (id int) -- it's":                        "CREATE TABLE a (id int)",
	} {
		if got := name(given); got != want {
			t.Errorf("%s is named %s, want %s", given, got, want)
		}
	}
}

func TestStatementsThatWriteAreKnown(t *testing.T) {
	for statement, want := range map[string]kind{
		"select 1": reads, "SET statement_timeout = 0": reads, "LOCK TABLE events": reads, "-- ping": reads, ";": reads, "": reads,
		"  insert into events values (1)": writes, "WITH x AS (UPDATE a SET b = 1 RETURNING 1) SELECT": writes, "with x as (select 1) select": reads,
		"SELECT pg_terminate_backend($1)": writes, "begin isolation level repeatable read": begins, "commit": commits, "rollback": rollsBack,
		"-- why\nDELETE FROM a": writes, "copy \"albums\" ( \"id\" ) from stdin binary;": copiesIn, "COPY (SELECT 1) TO STDOUT": reads,
	} {
		if got := kindOf(statement); got != want {
			t.Errorf("%q is of kind %d, want %d", statement, got, want)
		}
	}
}

func TestOnlyWhatWasObeyedCounts(t *testing.T) {
	said := func(kind byte, text string) []byte { return append([]byte{kind, 0, 0, 0, 0}, text...) }
	for name, test := range map[string]struct {
		answers [][]byte
		obeyed  bool
	}{
		"done":                           {answers: [][]byte{said(completed, "UPDATE 1\x00"), said(readyNow, "I")}, obeyed: true},
		"committed":                      {answers: [][]byte{said(completed, "COMMIT\x00"), said(readyNow, "I")}, obeyed: true},
		"rolled back instead":            {answers: [][]byte{said(completed, "ROLLBACK\x00"), said(readyNow, "I")}},
		"refused":                        {answers: [][]byte{said(failed, "SERROR\x00"), said(readyNow, "I")}},
		"refused after something before": {answers: [][]byte{said(completed, "BEGIN\x00"), said(failed, "SERROR\x00"), said(readyNow, "I")}},
		"not answered":                   {},
	} {
		s := &session{}
		for _, answer := range test.answers {
			s.hear(answer)
		}
		if s.obeyed != test.obeyed {
			t.Errorf("%s: obeyed is %t", name, s.obeyed)
		}
	}
}
