package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// suite collects what `make mutants` reports.
var suite mutants

// mutants are the kinds of damage that were tried, those that were caught, and
// sound databases that were found damaged.
type mutants struct {
	mu          sync.Mutex
	Mutants     []string `json:"mutants"`
	Caught      []string `json:"caught"`
	FalseAlarms []string `json:"falseAlarms"`
}

func (m *mutants) tried(name string, caught bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Mutants = append(m.Mutants, name)
	if caught {
		m.Caught = append(m.Caught, name)
	}
}

// sound notes a verification of a database that is as it should be.
func (m *mutants) sound(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !slices.Contains(m.FalseAlarms, name) {
		m.FalseAlarms = append(m.FalseAlarms, name)
	}
}

// write leaves the report in a file, if one is asked for.
func (m *mutants) write(path string) error {
	if path == "" {
		return nil
	}
	for _, names := range []*[]string{&m.Mutants, &m.Caught, &m.FalseAlarms} {
		slices.Sort(*names)
		if *names == nil {
			*names = []string{}
		}
	}
	encoded, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report on mutants: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("make the folder of the report on mutants: %w", err)
	}
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		return fmt.Errorf("write the report on mutants: %w", err)
	}
	fmt.Printf("%d mutants, %d caught, %d false alarms\n", len(m.Mutants), len(m.Caught), len(m.FalseAlarms))
	return nil
}

// damage is something wrong with a database, and the check that should catch
// it. What a reader made wrong is damage to the log, after it was read.
type damage struct{ name, check, statement, log string }

// catches damages a sound database in one way after the other.
func (b *built) catches(t *testing.T, damages []damage) {
	t.Helper()
	_, err := b.verify()
	suite.sound("the database that is damaged, of "+b.edition.Version, err)
	if err != nil {
		t.Fatalf("a sound database is found damaged: %v", err)
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			evidence, err := b.verifyDamaged(t, d)
			var failed *FailedError
			check := evidence.check(d.check)
			caught := errors.As(err, &failed) && !evidence.Passed && !check.Passed && check.Faults > 0 && check.Detail != ""
			suite.tried(d.name, caught)
			if !caught {
				t.Errorf("%s did not catch it: %v", d.check, err)
			}
			if len(check.Samples) > maxSamples {
				t.Errorf("%d samples", len(check.Samples))
			}
			if len(evidence.Checks) != len(checks(b.edition)) {
				t.Errorf("only %d checks were made", len(evidence.Checks))
			}
		})
	}
}

// verifyDamaged verifies in the transactions that did the damage, and leaves
// the database and the log sound.
func (b *built) verifyDamaged(t *testing.T, d damage) (Evidence, error) {
	t.Helper()
	return b.damaged(t, d, func(ctx context.Context, o Options, database, source pgx.Tx) (Evidence, error) {
		return inspect(ctx, o, database, source, 0)
	})
}

// damaged does the damage, looks at it, and undoes it.
func (b *built) damaged(t *testing.T, d damage, look func(context.Context, Options, pgx.Tx, pgx.Tx) (Evidence, error)) (Evidence, error) {
	t.Helper()
	database, source := b.connect(b.database), b.connect(b.source)
	defer closing(database)
	defer closing(source)
	damaged, err := database.Begin(t.Context())
	must(t, err)
	log, err := source.Begin(t.Context())
	must(t, err)
	_, err = damaged.Exec(t.Context(), d.statement, pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	_, err = log.Exec(t.Context(), d.log, pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	return look(t.Context(), Options{Version: b.edition.Version, Edition: b.edition, Database: database, Source: source, Log: b.log}, damaged, log)
}
