package eventlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

func TestCheckSaysWhatToDo(t *testing.T) {
	cases := map[string]struct {
		prepare string
		reason  eventlog.Reason
		advice  string
	}{
		"no log":           {"DROP TABLE events", eventlog.ReasonLogAbsent, "`nawhas source init`"},
		"another shape":    {"ALTER TABLE events DROP COLUMN payload", eventlog.ReasonShape, `no column "payload"`},
		"another type":     {"ALTER TABLE events ALTER COLUMN payload TYPE text", eventlog.ReasonShape, "is text, not jsonb"},
		"ids not unique":   {"ALTER TABLE events DROP CONSTRAINT events_id_key", eventlog.ReasonKeys, `ADD UNIQUE ("id")`},
		"unique over two":  {"ALTER TABLE events DROP CONSTRAINT events_id_key, ADD UNIQUE (id, name)", eventlog.ReasonKeys, `ADD UNIQUE ("id")`},
		"no sequence":      {"ALTER TABLE events ALTER COLUMN position DROP IDENTITY", eventlog.ReasonSequence, "GENERATED ALWAYS AS IDENTITY"},
		"a sequence cache": {"ALTER SEQUENCE events_position_seq CACHE 20", eventlog.ReasonSequence, "ALTER SEQUENCE public.events_position_seq CACHE 1"},
		"a cycle":          {"ALTER SEQUENCE events_position_seq CYCLE", eventlog.ReasonSequence, "NO CYCLE"},
		"counting down":    {"ALTER SEQUENCE events_position_seq INCREMENT BY -1 MINVALUE -10", eventlog.ReasonSequence, "INCREMENT BY 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, conn := source(t)
			execute(t, conn, c.prepare)
			assertRefused(t, events.Check(t.Context(), conn), c.reason, c.advice)
		})
	}
}

func TestCheckRefusesAStandby(t *testing.T) {
	url, _ := source(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	standby, err := server.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Close)
	assertRefused(t, events.Check(t.Context(), connect(t, standby.URL(config.Database))), eventlog.ReasonReplica, "primary")
}

func TestCheckNamesTheMissingGrant(t *testing.T) {
	url, conn := source(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	role := "reader_" + config.Database
	execute(t, conn, "CREATE ROLE "+role+" LOGIN PASSWORD 'x'")
	execute(t, conn, "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
	reader := connect(t, server.URLAs(role, "x", config.Database))

	assertRefused(t, events.Check(t.Context(), reader), eventlog.ReasonRights, `GRANT USAGE ON SCHEMA "public"`)
	execute(t, conn, "GRANT USAGE ON SCHEMA public TO "+role)
	assertRefused(t, events.Check(t.Context(), reader), eventlog.ReasonRights, `GRANT SELECT ON "public"."events" TO "`+role+`"`)
	execute(t, conn, "GRANT SELECT ON events TO "+role)
	assertRefused(t, events.Check(t.Context(), reader), eventlog.ReasonRights, `GRANT SELECT ON SEQUENCE public.events_position_seq TO "`+role+`"`)
	execute(t, conn, "GRANT SELECT ON SEQUENCE events_position_seq TO "+role)
	if err := events.Check(t.Context(), reader); err != nil {
		t.Errorf("a reader with all its rights: %v", err)
	}

	grant := `GRANT INSERT ("id", "name", "payload", "version") ON "public"."events" TO "` + role + `"`
	assertRefused(t, events.CheckAppend(t.Context(), reader), eventlog.ReasonRights, grant)
	_, err = events.Append(t.Context(), reader, newEvent(1))
	assertRefused(t, err, eventlog.ReasonRights, "GRANT INSERT")
	execute(t, conn, grant)
	if err := events.CheckAppend(t.Context(), reader); err != nil {
		t.Errorf("a writer with all its rights: %v", err)
	}
	add(t, reader, newEvent(1))
	if w, err := events.Watermark(t.Context(), reader); err != nil || w != 1 {
		t.Errorf("the reader's watermark is %d, %v", w, err)
	}
	if _, err := events.Identity(t.Context(), reader); err != nil {
		t.Errorf("the reader cannot recognise the source: %v", err)
	}
}

func TestInitLeavesAnExistingLogAlone(t *testing.T) {
	_, conn := source(t)
	add(t, conn, newEvent(1))
	if err := events.Init(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if left := logged(t, conn); len(left) != 1 {
		t.Errorf("%d events after a second init, want 1", len(left))
	}
	execute(t, conn, "DROP TABLE events; CREATE TABLE events (position bigint)")
	assertRefused(t, events.Init(t.Context(), conn), eventlog.ReasonShape, "no column")
}

func assertRefused(t *testing.T, err error, reason eventlog.Reason, advice string) {
	t.Helper()
	refused, ok := errors.AsType[*eventlog.PreconditionError](err)
	if !ok {
		t.Fatalf("got %v, want %s", err, reason)
	}
	if refused.Reason != reason || !strings.Contains(refused.Message, advice) {
		t.Errorf("got %s: %s; want %s with %q", refused.Reason, refused.Message, reason, advice)
	}
}
