package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/library"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/projection"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) {
	code := pgtest.Run(m, &postgres)
	if err := suite.write(os.Getenv("NAWHAS_MUTANTS")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const generated = 4000

// built is a log and a database that a replay has completed from it.
type built struct {
	t                *testing.T
	source, database string // connection strings
	edition          library.Edition
	log              *eventlog.Log
}

func build(t *testing.T, events int) *built {
	t.Helper()
	return buildVersion(t, "3.1.2", events)
}

func buildVersion(t *testing.T, version string, events int) *built {
	t.Helper()
	b := &built{t: t, source: postgres.Database(t), database: postgres.Database(t), log: eventlog.New(eventlog.DefaultTable())}
	var err error
	b.edition, err = library.EditionOf(version)
	must(t, err)
	source := b.connect(b.source)
	must(t, b.log.Init(t.Context(), source))
	if events > 0 {
		must(t, library.Generate(t.Context(), source, b.log, events, 42, nil))
	}
	database := b.connect(b.database)
	must(t, library.Migrate(t.Context(), database, b.edition))
	_, err = projection.Replay(t.Context(), projection.Options{Source: b.source, Database: b.database, NewModel: b.edition.Model})
	must(t, err)
	return b
}

func (b *built) connect(connection string) *pgx.Conn {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), connection)
	must(b.t, err)
	b.t.Cleanup(func() { closing(conn) })
	return conn
}

func (b *built) verify() (Evidence, error) {
	b.t.Helper()
	database, source := b.connect(b.database), b.connect(b.source)
	defer closing(database)
	defer closing(source)
	return Run(b.t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log, Job: "job", Build: "build"})
}

func (b *built) damage(statements ...string) {
	b.t.Helper()
	postgres.Exec(b.t, nameOf(b.database), statements...)
}

func TestSoundDatabasePasses(t *testing.T) {
	b := build(t, generated)
	evidence, err := b.verify()
	suite.sound("a database after its replay", err)
	if err != nil || !evidence.Passed {
		t.Fatalf("%v: %+v", err, evidence)
	}
	if evidence.Position != generated || evidence.Events != generated || evidence.EventsHash == "0" || evidence.Job != "job" || evidence.Build != "build" {
		t.Errorf("evidence %+v", evidence)
	}
	// Events after the checkpoint are none of its business.
	must(t, library.Generate(t.Context(), b.connect(b.source), b.log, 100, 43, nil))
	later, err := b.verify()
	suite.sound("a database behind its log", err)
	if err != nil || later.EventsHash != evidence.EventsHash || later.Events != generated {
		t.Errorf("with a longer log: %v, %+v", err, later)
	}
}

func TestSoundEmptyDatabasePasses(t *testing.T) {
	b := build(t, 0)
	evidence, err := b.verify()
	suite.sound("a log without events", err)
	if err != nil || evidence.Position != 0 {
		t.Errorf("%v: %+v", err, evidence)
	}
}

func TestEvidenceHoldsKeysAndNoPayloads(t *testing.T) {
	b := build(t, 500)
	b.damage("UPDATE reciters SET name = 'Verysecret'")
	evidence, err := b.verify()
	encoded, encodeErr := json.Marshal(evidence)
	must(t, encodeErr)
	if err == nil || strings.Contains(string(encoded)+err.Error(), "Verysecret") {
		t.Errorf("%v: %s", err, encoded)
	}
}

func TestADatabaseWithoutTablesIsNoEvidence(t *testing.T) {
	b := build(t, 0)
	b.damage("DROP TABLE checkpoint")
	_, err := b.verify()
	var failed *FailedError
	if err == nil || errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

func closing(conn *pgx.Conn) { _ = conn.Close(context.Background()) }

func nameOf(connection string) string {
	parsed, _ := url.Parse(connection)
	return strings.TrimPrefix(parsed.Path, "/")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
